"""Faults of single pushes: lost, late, doubled or changed, for all, for one connection, or by chance."""

from __future__ import annotations

import json

from simulator.talking import Talk, is_push
from waiting import eventually

from okws_celery.simulator import Simulator


def numbers(talk: Talk, count: int) -> list[int]:
    """The ids of the next trades, each higher than the one before."""
    return [int(talk.push("trades")["data"][0]["tradeId"]) for _ in range(count)]


def test_a_private_push_is_lost(sim: Simulator) -> None:
    """The snapshot that a private subscription begins with is not sent; the next is."""
    fault = sim.fault("lose", channel="account")
    with Talk(sim.ws_url + "/private") as talk:
        talk.login()
        talk.subscribe({"channel": "account", "extraParams": '{"updateInterval":"0"}'}, "balance_and_position")
        talk.push("balance_and_position")
        assert not [one for one in talk.got if is_push(one, "account")]
        assert fault.hits == 1
        talk.ask("subscribe", {"channel": "account", "extraParams": '{"updateInterval":"0"}'})
        talk.push("account")


def test_two_pushes_change_places(sim: Simulator) -> None:
    """One push comes after its successor, nothing is lost, and the order holds before and after."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("trades:BTC-USDT")
        numbers(talk, 1)
        fault = sim.fault("reorder", arg="trades:BTC-USDT")
        seen = numbers(talk, 2)
        while seen[-2] < seen[-1]:
            seen += numbers(talk, 1)
        assert [*seen[:-2], seen[-1], seen[-2]] == sorted(seen)
        seen = numbers(talk, 5)
        assert seen == sorted(seen)
        assert fault.hits == 1


def test_faults_that_are_over_do_not_pile_up(sim: Simulator) -> None:
    """What has struck as often as it should makes room for the next; what it held back comes all the same."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("trades:BTC-USDT")
        for _ in range(3):
            sim.fault("duplicate", arg="trades:BTC-USDT")
            first, second = numbers(talk, 2)
            while first != second:
                first, second = second, *numbers(talk, 1)
        assert [one["fault"] for one in sim.state()["faults"]] == ["duplicate"]
        held = sim.fault("reorder", arg="trades:BTC-USDT")
        eventually(lambda: held.hits, what="a trade is held back")
        sim.fault("checksum", arg="books:BTC-USDT")
        seen = numbers(talk, 2)
        while seen[-2] < seen[-1]:
            seen += numbers(talk, 1)


def test_what_was_held_back_does_not_follow_a_snapshot(sim: Simulator) -> None:
    """A push that waits for its successor is forgotten when the book begins anew."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("books:XAUT-USDT")  # hardly moves
        talk.push("books")
        talk.ask("unsubscribe", "books:XAUT-USDT")
        talk.event("unsubscribe")
        fault = sim.fault("reorder", channel="books", times=0)
        for _ in range(3):
            talk.ask("subscribe", "books:XAUT-USDT")
            assert talk.push("books")["action"] == "snapshot"
        assert fault.hits == 0


def test_a_checksum_of_zero() -> None:
    """Where checksums are on, one push has 0, as OKX has it today."""
    with Simulator(limits=False, checksums=True) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("books:BTC-USDT")
        assert talk.push("books")["data"][0]["checksum"] != 0
        sim.fault("checksum", becomes="zero", channel="books")
        talk.until(lambda said: is_push(said, "books") and said["data"][0]["checksum"] == 0)
        assert talk.push("books")["data"][0]["checksum"] != 0


def test_one_connection_is_meant(sim: Simulator) -> None:
    """`conn` aims a fault of pushes at one of two that listen to the same."""
    with Talk(sim.ws_url + "/public") as struck, Talk(sim.ws_url + "/public") as spared:
        for talk in (struck, spared):
            talk.subscribe("trades:BTC-USDT")
        fault = sim.fault("duplicate", channel="trades", times=0, conn=sim.connections()[0].conn_id)
        last = spared.push("trades")
        for _ in range(5):
            push = spared.push("trades")
            assert push != last
            last = push
        struck.until(lambda said: said == last)
        doubled = [one for one in struck.got if is_push(one, "trades")]
        assert len({json.dumps(one) for one in doubled}) < len(doubled)
        assert fault.hits >= 4


def test_one_for_all_and_one_for_one(sim: Simulator) -> None:
    """Beside a fault of one connection a fault of all strikes each of them once."""
    with Talk(sim.ws_url + "/public") as struck, Talk(sim.ws_url + "/public") as spared:
        for talk in (struck, spared):
            talk.subscribe("trades:BTC-USDT")
        sim.fault("reorder", channel="books", conn=sim.connections()[0].conn_id)
        sim.fault("duplicate", channel="trades", times=0)
        for talk in (struck, spared):
            first = talk.push("trades")
            while talk.push("trades") != first:  # what came before the fault is not doubled
                first = talk.got[-1]
            ids = numbers(talk, 8)
            assert ids[::2] == ids[1::2]
            assert len(set(ids)) == 4


def test_chance_repeats_with_its_seed() -> None:
    """Of 200 like requests the same ones are refused in two runs with one seed, about a third of them."""

    def refused(seed: int) -> list[bool]:
        with Simulator(limits=False) as sim, Talk(sim.ws_url + "/public") as talk:
            sim.fault("refuse", code=60014, chance=0.3, seed=seed)
            said = []
            for _ in range(200):
                talk.ask("subscribe", {"channel": "status"})
                said.append(talk.until(lambda one: "event" in one)["event"] == "error")
            return said

    first = refused(1)
    assert first == refused(1)
    assert first != refused(2)
    assert 30 < sum(first) < 90
