"""The Celery application, where `celery -A okws_celery` finds it, and its settings.

It lives beside other Celery applications in one project and on one broker: it is never the current application, and its
queue, exchanges and keys are named after OKWS_NAMESPACE. What OKWS_CELERY_CONFIG names is laid over DEFAULTS.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import click
from celery import Celery
from celery.app.backends import BACKEND_ALIASES
from celery.app.defaults import SETTING_KEYS
from celery.signals import celeryd_init
from celery.utils.imports import import_from_cwd
from click.core import ParameterSource
from kombu.transport import TRANSPORT_ALIASES

from okws_celery import config_sessions, inspection, supervisor
from okws_celery.errors import ConfigError
from okws_celery.settings import Settings, load
from okws_celery.store.connect import check_url, shown
from okws_celery.store.registry import Registry

__all__ = ["DEFAULTS", "App", "app", "defaults", "kombu_url", "make_app"]

_SOCKET_S = 5
"""How long a silent connection to Redis is believed, s; by default it is minutes, or for ever."""
_LOADER = "celery.loaders.app:AppLoader"
_BROKER_SETTINGS = ("broker_url", "broker_read_url", "broker_write_url")


def defaults(settings: Settings) -> dict[str, Any]:
    """Celery's settings as far as they differ from Celery's own defaults; without the broker's and backend's URLs."""
    name = settings.namespace
    return {
        # Who we are on a broker that others use too.
        "task_default_queue": name,
        "task_default_exchange": name,
        "task_default_routing_key": name,
        "control_exchange": name,
        "event_exchange": f"{name}.events",
        "event_queue_prefix": f"{name}.events",
        "broker_transport_options": {
            "unacked_key": f"{name}/unacked",
            "unacked_index_key": f"{name}/unacked_index",
            "unacked_mutex_key": f"{name}/unacked_mutex",
            "socket_timeout": _SOCKET_S,
            "socket_connect_timeout": _SOCKET_S,
            "socket_keepalive": True,
            "health_check_interval": _SOCKET_S,
        },
        "result_backend_transport_options": {
            "global_keyprefix": f"{name}/results:",
            # A caller whose Redis is away is to hear it soon; Celery's own patience is 20 tries.
            "retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
        },
        "include": ["okws_celery.tasks"],
        # Only JSON, in and out.
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        # A task that holds a connection costs a thread and is acknowledged when it starts: with late acknowledgement
        # the broker would deliver it again after an hour while it still runs.
        "worker_pool": "threads",
        "worker_prefetch_multiplier": 1,
        "task_acks_late": False,
        "worker_cancel_long_running_tasks_on_connection_loss": True,  # those acknowledged late only, so none of ours
        "worker_proc_alive_timeout": 30.0,
        # Flower needs no option.
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "task_track_started": True,
        # A Redis that is not there is waited for, however long.
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "redis_socket_timeout": _SOCKET_S,
        "redis_socket_connect_timeout": _SOCKET_S,
        "redis_backend_health_check_interval": _SOCKET_S,
        "redis_retry_on_timeout": True,
        "result_expires": 3600,
    }


def kombu_url(url: str) -> str:
    """A Redis URL as redis-py takes it, in the spelling that kombu and Celery's result backend take."""
    check_url(url)
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    database = query.pop("db", "")
    if parts.scheme == "unix":
        user, password = parts.username or "", parts.password or query.pop("password", "")
        login = f"{user}:{password}@" if user or password else ""
        return f"redis+socket://{login}{quote(parts.path)}?{urlencode({'virtual_host': database or '0'})}"
    path = f"/{database}" if database else parts.path
    if parts.scheme == "rediss":
        # redis-py checks certificates unless told otherwise; Celery insists on being told.
        kept = {"ssl_cert_reqs": "required"} | {key: value for key, value in query.items() if key.startswith("ssl_")}
        return parts._replace(path=path, query=urlencode(kept)).geturl()
    return parts._replace(path=path, query="").geturl()


class App(Celery):  # type: ignore[misc]  # Celery has no types
    """A Celery application that knows its Settings, and the registry in their Redis."""

    okws: Settings

    @cached_property
    def registry(self) -> Registry:
        """The registry of this application's namespace; also safe in the children of a pool."""
        return Registry(self.okws)

    # In the environment CELERY_BROKER_URL and its kind belong to another application; Celery would let them win.

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """The connection from which tasks are taken."""
        return super().connection_for_read(url or self.conf.get("broker_read_url"), **options)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        """The connection on which tasks are sent."""
        return super().connection_for_write(url or self.conf.get("broker_write_url"), **options)

    def connection(self, hostname: str | None = None, **options: Any) -> Any:
        """The same; Celery's older name."""
        return self.connection_for_write(hostname, **options)

    def __reduce__(self) -> Any:
        return _this_application, ()


def make_app(settings: Settings, *, broker_url: str = "", result_backend: str = "") -> App:
    """An application for these settings; ConfigError if the broker or the overlay cannot be used.

    A URL given here wins over OKWS_BROKER_URL and OKWS_RESULT_BACKEND, those over the overlay's, that over the same
    Redis as everything else.
    """
    overlay = _overlay(settings.celery_config)
    same = "" if settings.broker_url and settings.result_backend else kombu_url(settings.redis_url)
    broker = broker_url or settings.broker_url
    if broker:
        overlay = {key: value for key, value in overlay.items() if key not in _BROKER_SETTINGS}
    broker = _spelled(broker or overlay.get("broker_url") or same)
    backend = _spelled(result_backend or settings.result_backend or overlay.get("result_backend") or same)
    overlay.pop("result_backend", None)
    _check_scheme("OKWS_BROKER_URL", broker, TRANSPORT_ALIASES)
    _check_scheme("OKWS_RESULT_BACKEND", backend, BACKEND_ALIASES)
    made = App("okws_celery", set_as_current=False, fixups=(), loader=_LOADER)
    made.okws = settings
    made.backend_cls = backend  # wins over CELERY_RESULT_BACKEND
    made.config_from_object(defaults(settings))
    urls = {"broker_url": broker, "broker_read_url": broker, "broker_write_url": broker}
    made.conf.update(urls | overlay)
    if not backend.startswith(("redis+socket:", "socket:")):
        made.conf.update({"redis_socket_keepalive": True})
    made.steps["worker"].add(supervisor.Supervisor)
    return made


def _overlay(module: str) -> dict[str, Any]:
    if not module:
        return {}
    try:
        found = import_from_cwd(module)
    except Exception as problem:  # whatever a person's module raises
        raise ConfigError(f"OKWS_CELERY_CONFIG {module!r}: {type(problem).__name__}: {problem}") from problem
    return {key: value for key, value in vars(found).items() if key in SETTING_KEYS}


def _spelled(url: str) -> str:
    """As kombu_url, of a URL that may be of any kind: in these two spellings redis-py and kombu differ."""
    return kombu_url(url) if url.startswith(("unix:", "rediss:")) else url


def _check_scheme(variable: str, url: str, known: dict[str, str]) -> None:
    scheme = urlsplit(url).scheme
    if scheme not in known and scheme.partition("+")[0] not in known:
        raise ConfigError(
            f"{variable} {shown(url)!r}: a URL that Celery understands is accepted, such as redis:// or amqp://"
        )


def _command_line() -> dict[str, str]:
    """The options of the `celery` command if it runs this application: the command line wins over the environment."""
    context = click.get_current_context(silent=True)
    root = context.find_root() if context else None
    if root is None or not str(root.params.get("app")).startswith("okws_celery"):
        return {}
    names = ("app", "broker", "result_backend")
    given = {name for name in names if root.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    return {"app": ""} | {name: str(root.params[name]) for name in given}


def _make_module_app() -> App:
    command_line = _command_line()
    try:
        made = make_app(
            load(),
            broker_url=command_line.get("broker", ""),
            result_backend=command_line.get("result_backend", ""),
        )
    except ConfigError as problem:
        if not command_line:
            raise
        # Celery's command would show any exception as a page of traceback.
        sys.stderr.write(f"okws_celery: {problem}\n")
        raise SystemExit(2) from None
    if command_line:
        inspection.register()
    return made


def _this_application() -> App:
    return app


@celeryd_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _size_pool(instance: Any, conf: Any, options: dict[str, Any], **_: Any) -> None:
    """Give a pool of threads its size when nobody else does; in the settings it would be as many processes, too.

    What the config file wants open is looked at here as well: a mistake ends the worker before it has begun.
    """
    if not isinstance(instance.app, App):
        return
    pool = supervisor.pool_kind(options.get("pool") or options.get("pool_cls") or conf.worker_pool)
    try:
        concurrency = options.get("concurrency") or conf.worker_concurrency
        config_sessions.planned(instance.app.okws)
        conf.worker_concurrency = supervisor.checked_concurrency(pool, concurrency, instance.app.okws.max_sessions)
    except ConfigError as problem:
        sys.stderr.write(f"okws_celery: {problem}\n")
        raise SystemExit(2) from None


app = _make_module_app()
DEFAULTS = defaults(app.okws)
"""The settings of this process's application before OKWS_CELERY_CONFIG is laid over them."""
