"""Celery's own lines about a broker that is away, as one line each: a page of traceback says nothing more."""

from __future__ import annotations

import logging

__all__ = ["keep_to_one_line"]

_LOGGERS = (
    "celery.bootsteps",
    "celery.worker.consumer.consumer",
    "celery.backends.redis",
    "celery.backends.asynchronous",
)


def keep_to_one_line() -> None:
    """For the worker of this process."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _one_line not in logger.filters:
            logger.addFilter(_one_line)


def _one_line(record: logging.LogRecord) -> bool:
    problem = record.exc_info[1] if record.exc_info else None
    if record.levelno >= logging.WARNING:
        text = " ".join(record.getMessage().split()).replace("/None)", ")")
        record.msg = f"{text} ({problem})" if problem is not None and str(problem) not in text else text
        record.args = ()
        if _is_connection_error(problem):
            record.exc_info, record.exc_text = None, None
    return True


def _is_connection_error(problem: BaseException | None) -> bool:
    # Each transport has a class of its own for it; what happens while one is handled is only its consequence.
    while problem is not None:
        names = [kind.__name__ for kind in type(problem).__mro__]
        if "OSError" in names or any("Connection" in name or "Timeout" in name for name in names):
            return True
        problem = problem.__cause__ or problem.__context__
    return False
