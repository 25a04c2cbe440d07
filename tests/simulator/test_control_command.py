"""`okws simulator fault | faults | state | load | account`, as somebody types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import websocket
from simulator.talking import Talk

from okws_celery import cli
from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate
from okws_celery.simulator.faults import FAULTS, MEANINGS


def okws(*arguments: str) -> int:
    return cli.main(["simulator", *arguments])


def test_a_fault_from_the_shell(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """It is done, and how many it met is said."""
    with Talk(sim.ws_url + "/public") as talk:
        assert okws("fault", "drop", "path=public", "how=rst", "--at", sim.rest_url) == 0
        assert json.loads(capsys.readouterr().out) == {"met": 1}
        with pytest.raises((OSError, websocket.WebSocketException)):
            talk.read()
    assert okws("fault", "refuse", "code=60014", "times=1", "arg=tickers:BTC-USDT", "--at", sim.rest_url) == 0
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "tickers:BTC-USDT")
        assert talk.event("error")["code"] == "60014"
        capsys.readouterr()
        assert okws("state", "--at", sim.rest_url) == 0
        assert json.loads(capsys.readouterr().out)["faults"] == [{"fault": "refuse", "hits": 1}]


def test_values_are_what_they_look_like(sim: Simulator) -> None:
    """null, lists and numbers are JSON, names stay text though they look like numbers."""
    with Talk(sim.ws_url + "/public") as talk:
        assert okws("fault", "together", 'texts=["a","b"]', "--at", sim.rest_url) == 0
        assert [talk.read(), talk.read()] == ["a", "b"]
        assert okws("fault", "late_ack", "seconds=null", "times=1", "--at", sim.rest_url) == 0
        assert okws("fault", "drop", "conn=01234567", "--at", sim.rest_url) == 0
        assert okws("fault", "send", "text=17", "--at", sim.rest_url) == 0
        assert talk.read() == "17"


def test_orders_from_the_shell(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Orders are placed, filled and canceled on the exchange's side, and the account is shown."""
    at = ("--at", sim.rest_url)
    assert okws("account", "place", "instId=ETH-USDT", "side=sell", "sz=2", "times=2", *at) == 0
    first, second = json.loads(capsys.readouterr().out)["ordIds"]
    assert okws("account", "fill", f"ordId={first}", "sz=0.5", "account=demo", *at) == 0
    assert okws("account", "cancel", f"ordId={second}", *at) == 0
    capsys.readouterr()
    assert okws("account", "show", "account=demo", *at) == 0
    (order,) = json.loads(capsys.readouterr().out)["orders"]
    assert (order["ordId"], order["instId"], order["accFillSz"]) == (first, "ETH-USDT", "0.5")
    assert okws("account", "cancel", f"ordId={second}", *at) == 2
    assert "51400" in capsys.readouterr().err
    assert okws("account", "place", "times=many", *at) == 2
    assert "times" in capsys.readouterr().err


def test_load_from_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    """A burst is asked for, and looked at."""
    with Simulator(load={}) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("trades:L0001-USDT")
        assert okws("load", "burst=3", "mix=trades=1", "--at", sim.rest_url) == 0
        for number in range(3):
            assert talk.next()["data"][0]["tradeId"] == str(1_000_000_001 + number)
        capsys.readouterr()
        assert okws("load", "--at", sim.rest_url) == 0
        assert json.loads(capsys.readouterr().out)["sent_in_all"] == 3


def test_over_tls(certificate: Certificate) -> None:
    """A simulator that speaks TLS is reached with its certificate."""
    with Simulator(tls=certificate) as sim:
        assert okws("state", "--at", sim.rest_url) == 1
        assert okws("state", "--at", sim.rest_url, "--ca-file", certificate.cert) == 0


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["fault", "explode"], "late_ack", 2),
        (["fault", "drop", "rst"], "parameter=value", 2),
        (["fault", "drop", "how=axe"], "fin, rst are accepted", 2),
        (["load", "burst=5"], "not in load mode", 2),
        (["load", "mix=tickers"], "channel=share", 2),
        (["state", "--ca-file", "/no/such.pem"], "--ca-file '/no/such.pem': No such file", 2),
    ],
)
def test_what_is_wrong_is_said(
    sim: Simulator, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str, status: int
) -> None:
    """One line, with what is accepted."""
    assert okws(*arguments, "--at", sim.rest_url) == status
    problem = capsys.readouterr().err
    assert said in problem
    assert problem.count("\n") == 1


def test_nobody_there(capsys: pytest.CaptureFixture[str], free_port: object) -> None:
    """No simulator at the address: one line, status 1."""
    assert callable(free_port)
    assert okws("state", "--at", f"http://127.0.0.1:{free_port()}") == 1
    assert "no simulator answers" in capsys.readouterr().err


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_from_the_shell(sim: Simulator, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Each is taken with what it needs, and what it met is said."""
    needs = {"inst_id": "XAUT-USDT", "to": "GOLD-USDT"}
    given = [f"{key}={value}" for key, value in needs.items() if key in FAULTS[name]]
    assert okws("fault", name, *given, "--at", sim.rest_url) == 0
    assert "met" in json.loads(capsys.readouterr().out)


def test_the_list_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """Every fault with what happens."""
    assert okws("faults") == 0
    listed = capsys.readouterr().out
    for name in FAULTS:
        assert f"\n{name}" in f"\n{listed}"
        assert MEANINGS[name] in listed


@pytest.mark.parametrize("page", ["simulator.md", "simulator.zh-CN.md"])
def test_the_manual_lists_every_fault(page: str) -> None:
    """Both pages have a line for each fault, which names its own parameters."""
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip().strip("`"): line for line in text.splitlines() if line.startswith("| `")}
    everywhere = {"path", "conn", "arg", "channel", "chance", "seed", "times", "every_s"}
    for name, parameters in FAULTS.items():
        assert name in rows, name
        for parameter in set(parameters) - everywhere:
            assert parameter in rows[name], (name, parameter)
