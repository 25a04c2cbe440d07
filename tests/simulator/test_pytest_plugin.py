"""The pytest fixture, as somebody's own tests use it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

THEIRS = '''
import json
import urllib.request

import pytest
import websocket


def talk(simulator, channel="tickers"):
    live = websocket.create_connection(simulator.ws_url + "/public", timeout=10)
    live.send(json.dumps({"op": "subscribe", "args": [{"channel": channel, "instId": "BTC-USDT"}]}))
    return live


def test_it_is_there(okx_simulator):
    """Data flow, and it can be looked at."""
    live = talk(okx_simulator)
    assert json.loads(live.recv())["event"] == "subscribe"
    assert json.loads(live.recv())["data"][0]["instId"] == "BTC-USDT"
    okx_simulator.wait_subscribed("tickers:BTC-USDT")
    with urllib.request.urlopen(okx_simulator.rest_url + "/control/state") as answer:
        assert json.load(answer)["connects"] == 1


def test_it_fails_on_request(okx_simulator):
    """Faults are at hand, and each test has a simulator of its own."""
    assert okx_simulator.connects == 0
    okx_simulator.fault("refuse", code=60018)
    assert json.loads(talk(okx_simulator).recv())["code"] == "60018"


@pytest.mark.okx_simulator(limits=True, idle_s=0.2)
def test_it_has_options(okx_simulator):
    """The marker sets options of one test, beside those of all."""
    live = websocket.create_connection(okx_simulator.ws_url + "/public", timeout=10)
    assert live.recv_data(control_frame=True)[1][:2] == (4004).to_bytes(2, "big")


@pytest.mark.okx_simulator(checksums=False)
class TestMarks:
    @pytest.mark.okx_simulator(checksums=True)
    def test_the_nearest_marker_wins(self, okx_simulator):
        live = talk(okx_simulator, "books")
        live.recv()
        assert json.loads(live.recv())["data"][0]["checksum"] != 0
'''


@pytest.fixture(autouse=True)
def _no_plugins_but_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else is installed here costs seconds to load, and is not what this is about."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_in_their_tests(pytester: pytest.Pytester) -> None:
    """With one line in their conftest.py, and markers that are checked, their tests pass."""
    pytester.makeconftest('pytest_plugins = ["okws_celery.simulator.pytest_plugin"]')
    pytester.makepyfile(THEIRS)
    pytester.runpytest_subprocess("--strict-markers").assert_outcomes(passed=4)


def test_options_of_their_own(pytester: pytest.Pytester) -> None:
    """A fixture of theirs sets the options for all tests."""
    pytester.makeconftest(
        """
        import pytest
        pytest_plugins = ["okws_celery.simulator.pytest_plugin"]

        @pytest.fixture
        def okx_simulator_options():
            return {"demo": True}
        """
    )
    pytester.makepyfile(
        """
        def test_it(okx_simulator):
            assert okx_simulator.state()["demo"] is True
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
