"""The application's settings: its own names on a shared broker, Redis' URL in Celery's spelling, who wins over whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from celery import current_app

from okws_celery.celery import App, defaults, kombu_url, make_app
from okws_celery.errors import ConfigError
from okws_celery.settings import Settings, load


class TestUrls:
    @pytest.mark.parametrize(
        ("given", "kombu"),
        [
            ("redis://localhost:6379/0", "redis://localhost:6379/0"),
            ("redis://:pa%40ss@h:1/2", "redis://:pa%40ss@h:1/2"),
            ("redis://h?db=3&socket_timeout=1", "redis://h/3"),
            ("rediss://u:p@h:6380/1", "rediss://u:p@h:6380/1?ssl_cert_reqs=required"),
            (
                "rediss://h/1?ssl_cert_reqs=none&ssl_ca_certs=/x.pem",
                "rediss://h/1?ssl_cert_reqs=none&ssl_ca_certs=%2Fx.pem",
            ),
            ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
            ("unix://u:p@/run/redis.sock?db=4", "redis+socket://u:p@/run/redis.sock?virtual_host=4"),
        ],
    )
    def test_spelling(self, given: str, kombu: str) -> None:
        """redis-py and kombu write the same address differently."""
        assert kombu_url(given) == kombu

    @pytest.mark.parametrize(
        ("given", "where"),
        [
            ("redis://:pw@h:7/2", {"hostname": "h", "port": 7, "virtual_host": "2", "password": "pw"}),
            ("redis://h?db=3", {"hostname": "h", "port": 6379, "virtual_host": "3", "password": None}),
        ],
    )
    def test_kombu_reads_it(self, given: str, where: dict[str, object]) -> None:
        """What kombu connects to is what was meant."""
        info = make_app(load({"OKWS_REDIS_URL": given})).connection_for_read().info()
        assert {key: info[key] for key in where} == where

    def test_backend_over_tls(self) -> None:
        """Celery's result backend takes it, too, and checks certificates."""
        app = make_app(load({"OKWS_REDIS_URL": "rediss://h:6380/1"}))
        assert app.backend.connparams["db"] == 1
        assert app.backend.connparams["ssl_cert_reqs"].name == "CERT_REQUIRED"


class TestNames:
    def test_named_after_the_namespace(self) -> None:
        """Queue, exchanges, and the keys of broker and results."""
        app = make_app(load({"OKWS_NAMESPACE": "desk"}))
        named = app.conf.table()
        ours = (
            "task_default_queue",
            "task_default_exchange",
            "control_exchange",
            "event_exchange",
            "event_queue_prefix",
        )
        assert {named[key].partition(".")[0] for key in ours} == {"desk"}
        transport = app.conf.broker_transport_options
        assert {key: value.partition("/")[0] for key, value in transport.items() if key.startswith("unacked")} == {
            "unacked_key": "desk",
            "unacked_index_key": "desk",
            "unacked_mutex_key": "desk",
        }
        assert app.backend.get_key_for_task("id").startswith(b"desk/results:")

    def test_two_namespaces_share_nothing(self) -> None:
        """Nothing that names a thing on the broker is the same in two namespaces."""
        one, two = (defaults(load({"OKWS_NAMESPACE": name})) for name in ("one", "two"))
        for key, value in one.items():
            if "one" in json.dumps(value):
                assert "one" not in json.dumps(two[key])

    def test_not_the_current_application(self) -> None:
        """Another application stays the current one."""
        make_app(Settings())
        assert not isinstance(current_app._get_current_object(), App)


class TestPrecedence:
    def test_same_redis(self) -> None:
        """Broker and results are in the Redis of everything else."""
        app = make_app(load({"OKWS_REDIS_URL": "redis://h:1/2"}))
        assert app.connection().as_uri() == "redis://:**@h:1/2"
        assert app.backend.as_uri() == "redis://h:1/2"

    def test_variables_of_another_application(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Celery's own variables are the other application's."""
        for variable in ("BROKER_URL", "BROKER_READ_URL", "BROKER_WRITE_URL", "RESULT_BACKEND"):
            monkeypatch.setenv(f"CELERY_{variable}", "redis://theirs:9/9")
        app = make_app(load({"OKWS_REDIS_URL": "redis://ours:1/2"}))
        connections = (app.connection_for_read(), app.connection_for_write(), app.connection())
        assert {connection.hostname for connection in connections} == {"ours"}
        assert app.backend.connparams["host"] == "ours"

    def test_own_broker(self) -> None:
        """OKWS_BROKER_URL and OKWS_RESULT_BACKEND win over the Redis of the data."""
        settings = load({"OKWS_BROKER_URL": "amqp://rabbit//", "OKWS_RESULT_BACKEND": "redis://results:1/2"})
        app = make_app(settings)
        assert app.connection().transport_cls == "amqp"
        assert app.backend.connparams["host"] == "results"

    def test_overlay(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The module of OKWS_CELERY_CONFIG wins over the defaults, OKWS_BROKER_URL over it."""
        (tmp_path / "overlay_for_test.py").write_text(
            'import os\nbroker_url = "redis://overlay:1/2"\nresult_expires = 7\nHELPER = os.sep\nunknown = 1\n'
        )
        monkeypatch.syspath_prepend(tmp_path)
        given = {"OKWS_CELERY_CONFIG": "overlay_for_test"}
        app = make_app(load(given))
        assert (app.conf.result_expires, app.conf.worker_pool) == (7, "threads")
        assert app.connection().hostname == "overlay"
        assert make_app(load(given | {"OKWS_BROKER_URL": "redis://env:1/2"})).connection().hostname == "env"

    def test_overlay_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a person's module raises is named with the module."""
        (tmp_path / "broken_overlay.py").write_text("1 / 0\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigError, match="broken_overlay.*ZeroDivisionError"):
            make_app(load({"OKWS_CELERY_CONFIG": "broken_overlay"}))
