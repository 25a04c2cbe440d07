"""Celery settings of this checkout, laid over the defaults of okws_celery by `OKWS_CELERY_CONFIG=celeryconfig`.

The targets `worker` and `flower` of the Makefile name it. It is not installed; for a project of your own copy it under
another name. What is not set here keeps the default of `okws_celery.celery.defaults`; the settings of OKWS_ variables
(Redis, broker, results, namespace) are better left to those. Names are Celery's own, in lower case.
"""

from __future__ import annotations

from okws_celery.celery import defaults
from okws_celery.settings import load

_DEFAULTS = defaults(load())

# Results of short tasks are kept for an hour by default. A held connection has no result.
result_expires = 600

# A setting that is a dictionary replaces the whole default: start from that and change a part.
broker_transport_options = _DEFAULTS["broker_transport_options"] | {"health_check_interval": 10}

# More that one may want:
#
# worker_pool = "prefork"             `-P prefork` on the command line is ignored by Celery while worker_pool is set
# worker_concurrency = 64             by default threads take OKWS_MAX_SESSIONS + 16
# worker_log_format = "%(asctime)s %(levelname)s %(message)s"
# task_routes = {"okws_celery.tasks.open_ws": {"queue": "okws-held"}}
