"""The clients with a real worker: what each call does and answers, the same for threads and for coroutines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import redis
from bridge import KINDS, make_client
from houses import ACCOUNT, House, Shared
from waiting import eventually
from workers import Worker

from okws_celery.calls.commands import settings_of_client
from okws_celery.errors import ALREADY_OPEN, BAD_COMMAND, DONE, NO_SESSION, NO_WORKER, BadCommand, Stale
from okws_celery.sync import Client


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which client."""
    return str(request.param)


@pytest.fixture
def shared(shared: Shared, kind: str) -> Iterator[Shared]:
    """The shared worker, called by either client."""
    with shared.house.client(kind=kind) as client:
        yield replace(shared, client=client)


@pytest.fixture
def client(house: House, kind: str) -> Iterator[Client]:
    """Either client of `house`."""
    with house.client(kind=kind) as made:
        yield made


class TestSessions:
    def test_open_use_close(self, shared: Shared, name: str) -> None:
        """Open, subscribe, read, close: each answers 80000 when it is done, and what was read is the exchange's."""
        client = shared.client
        assert client.open_ws(name)["errorCode"] == DONE
        assert client.subscribe(name, "tickers:BTC-USDT") == {
            "event": "info",
            "message": "subscribed tickers:BTC-USDT",
            "errorCode": DONE,
        }
        ticker = eventually(lambda: client.get(name, "tickers:BTC-USDT"))
        assert ticker["instId"] == "BTC-USDT"
        assert isinstance(ticker["last"], str)
        assert client.status(name)["status"] == "CONNECTED"
        assert name in client.servers()["message"]
        assert client.close_ws(name)["errorCode"] == DONE
        assert client.status(name)["status"] == "EXIT"
        assert name not in client.servers()["message"]

    def test_second_open(self, shared: Shared, name: str) -> None:
        """A live session is opened once."""
        assert shared.client.open_ws(name)["errorCode"] == DONE
        assert shared.client.open_ws(name)["errorCode"] == ALREADY_OPEN
        assert shared.client.close_ws(name)["errorCode"] == DONE

    def test_open_again_after_close(self, shared: Shared, name: str) -> None:
        """A closed name can be opened again at once, and begins without topics."""
        for _ in range(2):
            assert shared.client.open_ws(name)["errorCode"] == DONE
            assert shared.client.topics(name) == {}
            assert shared.client.subscribe(name, "tickers:ETH-USDT")["errorCode"] == DONE
            assert shared.client.close_ws(name)["errorCode"] == DONE

    def test_close_what_is_not_open(self, shared: Shared, name: str) -> None:
        """There is nothing to close."""
        assert shared.client.close_ws(name)["errorCode"] == NO_SESSION

    def test_login(self, shared: Shared, name: str) -> None:
        """With good credentials the answer is that of the login, and account channels work."""
        assert "logged in" in shared.client.open_ws(name, ACCOUNT)["message"]
        assert shared.client.subscribe(name, "account")["errorCode"] == DONE
        eventually(lambda: shared.client.get(name, "account:USDT"))
        shared.client.close_ws(name)

    def test_profile(self, shared: Shared, name: str) -> None:
        """A profile of the worker's environment logs in, and nothing secret is sent."""
        assert "logged in" in shared.client.open_ws(name, profile="desk")["message"]
        shared.client.close_ws(name)

    def test_unknown_profile(self, shared: Shared, name: str) -> None:
        """The answer names the profile, those that the worker knows, and how to make one; nothing stays behind."""
        said = shared.client.open_ws(name, profile="moon")
        assert said["errorCode"] == BAD_COMMAND
        assert "'moon'" in said["message"]
        assert "desk" in said["message"]
        assert "OKWS_PROFILE_MOON" in said["message"]
        assert shared.registry.session(name) is None

    def test_refused_login(self, shared: Shared, name: str) -> None:
        """OKX's own code and text are the answer, and stand in the status with a hint; the session does not try on."""
        said = shared.client.open_ws(name, ACCOUNT | {"password": "wrong"})
        assert (said["event"], said["errorCode"]) == ("error", 60024)
        told = eventually(lambda: _refused(shared.client, name))
        assert (told["errorCode"], told["message"]) == (60024, said["message"])
        assert "passphrase" in told["hint"]
        assert name not in shared.registry.sessions()

    def test_other_key(self, shared: Shared, name: str) -> None:
        """Credentials that were encrypted with another key are refused, with the fingerprints of both."""
        elsewhere = House(
            shared.house.redis_url, shared.house.simulator, shared.house.folder, f"{shared.house.folder}/other.key"
        )
        with elsewhere.client() as client:
            said = client.open_ws(name, ACCOUNT)
        assert said["errorCode"] == BAD_COMMAND
        assert "OKWS_SECRET_KEY_FILE" in said["message"]
        assert shared.registry.session(name) is None

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            ({"region": "mars"}, "global, us, eea"),
            ({"publish": "some"}, "both, pushes, rows, none"),
            ({"ws_url": "http://x"}, "ws://"),
            ({"proxy": "ftp://user:hidden@x"}, "socks5h://"),
            ({"demo": "perhaps"}, "true or false"),
            ({"auth_params": {"apiKey": "k"}}, "secret, password empty"),
            ({"auth_params": {"apiKey": "k", "secrt": "hidden"}}, "'secrt'"),
            ({"auth_params": ACCOUNT, "profile": "desk"}, "not both"),
            ({"timeout": 0}, "timeout"),
        ],
    )
    def test_wrong_option(self, shared: Shared, name: str, given: dict[str, Any], complaint: str) -> None:
        """One line says what is wrong and what is accepted, and shows nothing secret."""
        said = shared.client.open_ws(name, **given)
        assert said["errorCode"] == BAD_COMMAND
        assert complaint in said["message"]
        assert "hidden" not in said["message"]
        assert shared.registry.session(name) is None

    @pytest.mark.parametrize("wrong", ["", "a b", "x" * 65, "a/b", None, 5])
    def test_malformed_name(self, shared: Shared, wrong: Any) -> None:
        """Every call says the same of a malformed name."""
        client = shared.client
        calls = [client.open_ws, client.close_ws, client.status]
        answers = [call(wrong) for call in calls]
        answers += [client.subscribe(wrong, "tickers:BTC-USDT"), client.unsubscribe(wrong, "tickers:BTC-USDT")]
        assert {said["errorCode"] for said in answers} == {BAD_COMMAND}


class TestTopics:
    def test_list(self, shared: Shared, opened: str) -> None:
        """A list is answered for each of its topics, in any of their spellings."""
        said = shared.client.subscribe(
            opened, ["tickers:BTC-USDT", {"channel": "tickers", "instId": "ETH-USDT"}, "candle1m:BTC-USDT"]
        )
        assert said["errorCode"] == DONE
        assert set(said["topics"]) == {"tickers:BTC-USDT", "tickers:ETH-USDT", "candle1m:BTC-USDT"}
        assert {one["errorCode"] for one in said["topics"].values()} == {DONE}

    def test_one_of_a_list_is_refused(self, shared: Shared, opened: str) -> None:
        """The exchange's code and text stand at that topic, the whole is an error, the others live."""
        said = shared.client.subscribe(opened, ["tickers:BTC-USDT", "tickers:NO-SUCH"])
        assert said["errorCode"] == 60018
        assert said["topics"]["tickers:NO-SUCH"]["errorCode"] == 60018
        assert said["topics"]["tickers:BTC-USDT"]["errorCode"] == DONE
        assert shared.client.topics(opened)["tickers:NO-SUCH"]["state"] == "refused"
        assert shared.client.topics(opened)["tickers:BTC-USDT"]["state"] == "live"

    def test_one_of_a_list_is_malformed(self, shared: Shared, opened: str) -> None:
        """Nothing of the list is done."""
        said = shared.client.subscribe(opened, ["tickers:BTC-USDT", "tickerz:BTC-USDT"])
        assert said["errorCode"] == BAD_COMMAND
        assert "tickers" in said["message"]
        assert shared.client.topics(opened) == {}

    @pytest.mark.parametrize("topic", [[], None, 5, "tickers:", {"instId": "BTC-USDT"}])
    def test_no_topic(self, shared: Shared, opened: str, topic: Any) -> None:
        """What is no topic is said to be none."""
        assert shared.client.subscribe(opened, topic)["errorCode"] == BAD_COMMAND

    @pytest.mark.parametrize("given", [{"ttl": 0}, {"ttl": "x"}, {"owner": "a b"}, {"timeout": -1}])
    def test_wrong_argument(self, shared: Shared, opened: str, given: dict[str, Any]) -> None:
        """Neither owner nor time to live may be anything."""
        assert shared.client.subscribe(opened, "tickers:BTC-USDT", **given)["errorCode"] == BAD_COMMAND
        assert shared.client.topics(opened) == {}

    def test_session_not_open(self, shared: Shared, name: str) -> None:
        """Without a session there is nothing to subscribe."""
        assert shared.client.subscribe(name, "tickers:BTC-USDT")["errorCode"] == NO_SESSION
        assert shared.client.unsubscribe(name, "tickers:BTC-USDT")["errorCode"] == NO_SESSION

    def test_unsubscribe(self, shared: Shared, opened: str) -> None:
        """The exchange is left, and the topic's state goes; the last data stay."""
        shared.client.subscribe(opened, "tickers:BTC-USDT")
        eventually(lambda: shared.client.get(opened, "tickers:BTC-USDT"))
        assert shared.client.unsubscribe(opened, "tickers:BTC-USDT")["errorCode"] == DONE
        assert shared.client.topics(opened) == {}
        assert shared.client.get(opened, "tickers:BTC-USDT")

    def test_one_strategy_leaves_and_the_other_goes_blind(self, shared: Shared, opened: str) -> None:
        """DEMAND story 17: strategy A leaves a symbol, strategy B goes blind. Here B receives on, and the exchange is
        left when B has crashed and does not renew its topic."""
        client, topic = shared.client, "trades:ETH-USDT"
        others = shared.house.simulator.subscribed(topic)
        assert client.subscribe(opened, topic, owner="a")["errorCode"] == DONE
        assert client.subscribe(opened, topic, owner="b", ttl=3)["errorCode"] == DONE
        assert client.unsubscribe(opened, topic, owner="a")["errorCode"] == DONE
        assert client.subscribe(opened, topic, owner="b", ttl=3)["errorCode"] == DONE
        with client.listen(opened, topic, timeout=20) as listener:
            assert any("snapshot" not in item for item in listener)
        assert shared.house.simulator.subscribed(topic) == others + 1
        eventually(lambda: client.topics(opened) == {}, timeout=15)
        eventually(lambda: shared.house.simulator.subscribed(topic) == others)

    def test_last_owner(self, shared: Shared, opened: str) -> None:
        """With its last owner a topic is left."""
        for owner in ("s1", "s2"):
            assert shared.client.subscribe(opened, "trades:BTC-USDT", owner=owner)["errorCode"] == DONE
        assert shared.client.unsubscribe(opened, "trades:BTC-USDT", owner="s1")["errorCode"] == DONE
        assert shared.client.topics(opened)["trades:BTC-USDT"]["state"] == "live"
        assert shared.client.unsubscribe(opened, "trades:BTC-USDT", owner="s2")["errorCode"] == DONE
        assert shared.client.topics(opened) == {}

    def test_one_owner_closes_nothing_of_another(self, shared: Shared, opened: str) -> None:
        """Who never wanted a topic cannot leave it for another."""
        assert shared.client.subscribe(opened, "trades:BTC-USDT", owner="s1")["errorCode"] == DONE
        assert shared.client.unsubscribe(opened, "trades:BTC-USDT")["errorCode"] == DONE
        assert shared.client.topics(opened)["trades:BTC-USDT"]["state"] == "live"


class TestReading:
    def test_max_age(self, shared: Shared, opened: str) -> None:
        """Live data are given, data of a session that has ended are not."""
        shared.client.subscribe(opened, "tickers:BTC-USDT")
        assert eventually(lambda: _fresh(shared.client, opened))["instId"] == "BTC-USDT"
        with pytest.raises(Stale, match="not subscribed"):
            shared.client.get(opened, "tickers:ETH-USDT", max_age=5)
        shared.client.close_ws(opened)
        with pytest.raises(Stale, match="EXIT"):
            shared.client.get(opened, "tickers:BTC-USDT", max_age=5)

    def test_wrong_path(self, shared: Shared, opened: str) -> None:
        """A path that is no topic is said to be none."""
        with pytest.raises(BadCommand, match="tickers"):
            shared.client.get(opened, "tickerz:BTC-USDT")


class TestMany:
    def test_fifty_threads(self, shared: Shared, opened: str) -> None:
        """Fifty threads share one client: each gets the answer to its own call."""

        def call(number: int) -> bool:
            said = shared.client.subscribe(opened, f"tickers:{'BTC' if number % 2 else 'ETH'}-USDT", owner=f"o{number}")
            return said["errorCode"] == DONE and ("BTC" in said["message"]) == bool(number % 2)

        with ThreadPoolExecutor(50) as pool:
            assert all(pool.map(call, range(100)))

    def test_reads_of_fifty_threads(self, shared: Shared, opened: str) -> None:
        """Nobody is turned away, however many read at once."""
        shared.client.subscribe(opened, "tickers:BTC-USDT")
        with ThreadPoolExecutor(50) as pool:
            read = list(pool.map(lambda _: shared.client.get(opened, "tickers:BTC-USDT"), range(1_000)))
        assert {ticker["instId"] for ticker in read} == {"BTC-USDT"}

    def test_redis_clear(self, shared: Shared, opened: str) -> None:
        """Cleared data of a live session are written again, topics and status included."""
        client, store = shared.client, shared.registry.redis
        client.subscribe(opened, ["tickers:BTC-USDT", "candle1m:BTC-USDT"])
        eventually(lambda: client.get(opened, "candle1m:BTC-USDT") and client.get(opened, "tickers:BTC-USDT"))
        store.set(f"okex/{opened}/left-over", "x")
        assert client.redis_clear(f"okex/{opened}/*")["errorCode"] == DONE
        assert not store.exists(f"okex/{opened}/left-over")
        eventually(lambda: client.status(opened)["status"] == "CONNECTED", timeout=5)
        eventually(lambda: len(client.topics(opened)) == 2 and client.get(opened, "candle1m:BTC-USDT"), timeout=5)

    @pytest.mark.parametrize("pattern", ["*", "okws/*", "ok*", "*/tickers"])
    def test_redis_clear_elsewhere(self, shared: Shared, pattern: str) -> None:
        """A pattern that reaches beyond the data keys is refused."""
        said = shared.client.redis_clear(pattern)
        assert said["errorCode"] == BAD_COMMAND
        assert "okex/" in said["message"]


class TestWithoutWorker:
    """Nobody is there: calls answer with a code, and what they promised holds."""

    def test_calls(self, house: House, name: str, kind: str) -> None:
        """80012 when its time is up, 80011 where nothing could be open, and reads are empty."""
        with house.client(timeout=0.5, kind=kind) as client:
            assert client.open_ws(name)["errorCode"] == NO_WORKER
            assert client.subscribe(name, "tickers:BTC-USDT")["errorCode"] == NO_WORKER
            assert client.close_ws(name)["errorCode"] == NO_SESSION
            assert client.servers()["message"] == []
            assert client.status(name)["errorCode"] == NO_SESSION
            assert client.get(name, "tickers:BTC-USDT") == {}
            assert client.get(name, "trades:BTC-USDT") == []
            assert client.redis_clear()["errorCode"] == DONE
            assert client.server_quit()["errorCode"] == DONE

    def test_many_wait(self, house: House, kind: str) -> None:
        """However many calls wait at once, none lacks a connection: each is told that nobody answers."""
        with house.client(timeout=1, kind=kind) as client, ThreadPoolExecutor(150) as pool:
            codes = pool.map(lambda number: client.subscribe(f"s{number}", "account")["errorCode"], range(150))
            assert set(codes) == {NO_WORKER}

    def test_no_redis(self, kind: str, name: str, free_port: Callable[[], int]) -> None:
        """Without Redis the answer names its address, without its password."""
        port = free_port()
        settings = settings_of_client(f"redis://:hidden@127.0.0.1:{port}/0", 0.5, None)
        with make_client(kind, settings) as client:
            answers = [
                client.open_ws(name),
                client.close_ws(name),
                client.subscribe(name, "account"),
                client.servers(),
                client.status(name),
                client.redis_clear(),
                client.server_quit(),
            ]
        for said in answers:
            assert said["event"] == "error"
            assert str(port) in said["message"]
            assert "hidden" not in said["message"]
        assert answers[0]["errorCode"] == NO_WORKER


class TestQuit:
    def test_server_quit(self, house: House, start: Callable[..., Worker], client: Client) -> None:
        """Every session is closed, QUIT is announced, and the worker stays up."""
        start()
        for number in range(3):
            assert client.open_ws(f"q{number}")["errorCode"] == DONE
        with redis.Redis.from_url(house.redis_url, decode_responses=True) as store, store.pubsub() as listening:
            listening.subscribe("okws/info")
            assert client.server_quit()["errorCode"] == DONE
            eventually(lambda: (listening.get_message() or {}).get("data") == "QUIT")
        assert client.servers()["message"] == []
        assert client.open_ws("q0")["errorCode"] == DONE

    def test_worker_announced(self, house: House, start: Callable[..., Worker]) -> None:
        """A worker that takes tasks says CONNECTED on okws/info."""
        with redis.Redis.from_url(house.redis_url, decode_responses=True) as store, store.pubsub() as listening:
            listening.subscribe("okws/info")
            start()
            eventually(lambda: (listening.get_message() or {}).get("data") == "CONNECTED")


@pytest.fixture
def opened(shared: Shared, name: str) -> Iterator[str]:
    """A public session that is open."""
    assert shared.client.open_ws(name)["errorCode"] == DONE
    yield name
    shared.client.close_ws(name)


def _refused(client: Client, name: str) -> dict[str, object] | None:
    told = client.status(name)
    return told if told["status"] == "REFUSED" else None


def _fresh(client: Client, name: str) -> dict[str, str]:
    try:
        return dict(client.get(name, "tickers:BTC-USDT", max_age=5))
    except Stale:
        time.sleep(0.01)
        return {}
