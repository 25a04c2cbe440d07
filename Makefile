# Needs Python 3.11 or newer with pip, and make. Everything else is put into .venv.
#
#   make run                         live prices: own Redis, simulated exchange, worker, session
#   make run ARGS="--seconds 20"     the same, and end after 20 s of prices
#   make test ARGS="-k books"        the tests; ARGS goes to pytest
#   make install PYTHON=python3.12   with another Python than python3

PYTHON ?= python3
ARGS ?=
# For the newest cryptofeed, which needs it, in `make bench`: one on the PATH, or of pyenv; without one it is left out.
PYTHON313 ?= $(shell for python in python3.13 $$HOME/.pyenv/versions/3.13*/bin/python3.13; do \
  $$python -c 'import venv' 2>/dev/null && echo $$python && break; done)

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# The project's own Celery settings, laid over the defaults; the first line of celeryconfig.py says more.
WITH_CELERYCONFIG := OKWS_CELERY_CONFIG=celeryconfig

.DEFAULT_GOAL := help
.PHONY: install run test bench profile worker flower redis simulator lint format types clean help

install: $(INSTALLED)  ## make the virtual environment .venv and install everything into it

# Debian's python3 has no ensurepip, so that its venv comes without pip; then the pip outside installs into it.
$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON): Python 3.11 or newer is needed; name one by make PYTHON=..." >&2; exit 2; }
	@echo "installing into $(VENV) ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
	  { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	    $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check pip; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(INSTALLED)  ## live prices on the terminal until Ctrl-C
	@exec $(BIN)/okws run $(ARGS)

test: $(INSTALLED)  ## the tests, in parallel
	@exec $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal $(ARGS)

$(VENV)/bench-installed: $(INSTALLED)
	@echo "installing the peers ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@if [ -n "$(PYTHON313)" ]; then \
	  $(PYTHON313) -m venv $(VENV)/cryptofeed3 && \
	  $(VENV)/cryptofeed3/bin/pip install --quiet --disable-pip-version-check 'cryptofeed >= 3' redis; \
	fi
	@touch $@

bench: $(VENV)/bench-installed  ## this project and its peers on the same stream, and a table
	@exec $(BIN)/python -m benchmarks $(ARGS)

profile: $(VENV)/bench-installed  ## a flame graph of a loaded session, as .okws/profile.svg
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec $(BIN)/python -m benchmarks.flames $(ARGS)

worker: $(INSTALLED)  ## a worker on the Redis of OKWS_REDIS_URL
	@$(WITH_CELERYCONFIG) exec $(BIN)/celery -A okws_celery worker --loglevel info $(ARGS)

flower: $(INSTALLED)  ## Flower, which shows workers and sessions at http://localhost:5555
	@$(WITH_CELERYCONFIG) exec $(BIN)/celery -A okws_celery flower $(ARGS)

redis: $(INSTALLED)  ## a Redis on port 6379 with its data in .okws/redis
	@exec $(BIN)/okws redis $(ARGS)

simulator: $(INSTALLED)  ## an OKX on port 8080
	@exec $(BIN)/okws simulator $(ARGS)

lint: $(INSTALLED)  ## look for mistakes and for what is not formatted
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(INSTALLED)  ## format the code
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

types: $(INSTALLED)  ## check the types
	@$(BIN)/mypy

clean:  ## remove everything that make and the tools have made
	rm -rf $(VENV) .okws build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
