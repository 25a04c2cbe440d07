"""The INI form: what okws 2020 read, and what else a section may say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from okws_celery.config import ConfigFile
from okws_celery.errors import ConfigError

Read = Callable[[str, str], ConfigFile]


def test_file_of_okws_2020(read: Read) -> None:
    """A section is a session; its `commands` are carried out in order, and `[config]` holds settings."""
    file = read(
        "okws.ini",
        """
        [config]
        redis=redis://localhost
        maxrows=1000

        [test]
        apiKey=
        secret=
        password=
        commands =
            {"op": "subscribe", "args": ["tickers:ETH-USDT"]}
            # a minute's candles, but not the trades
            {"op": "subscribe", "args": ["candle1m:ETH-USDT", {"channel": "trades", "instId": "ETH-USDT"}]}
            {"op": "unsubscribe", "args": [{"channel": "trades", "instId": "ETH-USDT"}]}

        [ok2]
        apiKey=
        secret=
        password=
        """,
    )
    assert {name: value for name, (value, _) in file.settings.items()} == {
        "redis_url": "redis://localhost",
        "max_rows": "1000",
    }
    first, second = file.sessions
    assert (first.name, first.topics) == ("test", ("tickers:ETH-USDT", "candle1m:ETH-USDT"))
    assert (second.name, second.topics, second.credentials, second.options) == ("ok2", (), {}, {})


def test_names_of_any_case(read: Read) -> None:
    """APIKEY, Secret and passPhrase are credentials, MaxRows and REDIS settings, COMMANDS commands."""
    file = read(
        "okws.ini",
        """
        [Config]
        REDIS = redis://r
        MaxRows = 7
        [a]
        APIKEY = k
        Secret = s%1
        passPhrase = p
        Commands = {"op": "subscribe", "args": ["account"]}
        """,
    )
    assert file.settings["redis_url"][0] == "redis://r"
    assert file.settings["max_rows"][0] == "7"
    (session,) = file.sessions
    assert session.credentials == {"apiKey": "k", "secret": "s%1", "passphrase": "p"}
    assert session.topics == ("account",)


def test_an_empty_key_is_no_login(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    """As in the example of okws' own README: the session is public, and a line says so, without the secret."""
    (session,) = read("okws.ini", "[ok2]\napiKey=\nsecret=8C52F\npassword=").sessions
    assert session.credentials == {}
    assert "line 1, [ok2]: apiKey is empty, so that the session has no login" in caplog.text
    assert "8C52F" not in caplog.text


def test_options_and_profiles(read: Read) -> None:
    """A section may name a profile, and says where its exchange is like `open_ws` does."""
    file = read(
        "okws.ini",
        """
        [profiles.Desk]
        apiKey = k
        secret = s
        password = p
        [a]
        profile = desk
        region = eea
        demo = yes
        proxy = socks5h://u:pw@127.0.0.1:1080
        publish = rows
        topics =
            orders:SPOT
            tickers:BTC-USDT
        """,
    )
    assert file.profiles == {"desk": {"apiKey": "k", "secret": "s", "password": "p"}}
    (session,) = file.sessions
    assert session.options == {
        "profile": "desk",
        "region": "eea",
        "demo": True,
        "proxy": "socks5h://u:pw@127.0.0.1:1080",
        "publish": "rows",
    }
    assert session.topics == ("orders:SPOT", "tickers:BTC-USDT")
    assert "pw" not in repr(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nlast words", r"line 2: 'key = value' is accepted"),
        ("x = 1", r"line 1: a \[section\] must come first"),
        ("[a]\n\n[b]\n[a]\n", r"line 4, \[a\]: stands there twice"),
        ("[DEFAULT]\nx = 1", r"line 1, \[DEFAULT\]: a session's name, config, settings or profiles.<name> is accepted"),
        ("[a]\napikee = hidden", r"line 2, \[a\] apikee: not known; apiKey, secret, password, profile, region"),
        ("[a]\nsecret = hidden\nSECRET = hidden", r"line 3, \[a\] SECRET: stands there twice"),
        ("\n[a]\nsecret = hidden", r"line 2, \[a\]: credentials: apiKey, password empty; give apiKey, secret and"),
        ("[my feed]", r"line 1, \[my feed\]: session name 'my feed': 1 to 64 of the characters"),
        ("[profiles.a]\nregion=mars", r"line 2, \[profiles.a\] region: region 'mars': global, us, eea are accepted"),
        ("[profiles.a]\n[profiles.A]", r"line 2, \[profiles.A\]: profile 'A' stands there twice"),
        ("[profiles.a]\nprofile=b", r"line 2, \[profiles.a\] profile: not known"),
        (
            "[a]\nprofile=x\napiKey=hidden\nsecret=s\npassword=p",
            r"line 1, \[a\]: a profile or credentials are accepted",
        ),
        ("[a]\nproxy = u:hidden@x", r"line 2, \[a\] proxy: proxy 'x': http://host:port"),
        ("[a]\npublish = all", r"line 2, \[a\] publish: 'all'; both, pushes, rows, none are accepted"),
        ("[a]\ndemo = perhaps", r"line 2, \[a\] demo: true or false is accepted"),
        ("[a]\nws_url = http://x", r"line 2, \[a\] ws_url: WebSocket URL 'http://x': ws://"),
        ("[a]\ntopics =\n tickers:BTC-USDT\n tikers:X", r"line 4, \[a\] topics: topic 'tikers:X': no channel 'tikers'"),
        ("[a]\ntopics = orders:SPOT", r"line 2, \[a\] topics: topic 'orders:SPOT' needs a login"),
        ("[config]\nmaxrows = 1\nmax_rows = 2", r"line 3, \[config\] max_rows: max_rows stands there twice"),
        ("[config]\nOKWS_INFO = news", r"line 2, \[config\] OKWS_INFO: <namespace>/info is accepted"),
    ],
)
def test_mistake(read: Read, text: str, said: str) -> None:
    """File, line and section are named, and what is accepted; a secret is not shown."""
    with pytest.raises(ConfigError, match=said) as caught:
        read("a.ini", text)
    assert "a.ini" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_left_under_another_spelling(read: Read) -> None:
    """A topic has three spellings and one meaning."""
    (session,) = read(
        "a.ini",
        """
        [a]
        commands =
            {"op": "subscribe", "args": [{"channel": "tickers", "instId": "ETH-USDT"}, "trades:ETH-USDT", "status"]}
            {"op": "unsubscribe", "args": ["tickers:ETH-USDT", {"channel": "trades", "instId": "ETH-USDT"}]}
        """,
    ).sessions
    assert session.topics == ("status",)


@pytest.mark.parametrize("name", ["a.ini", "a.toml", "a.yaml"])
def test_mark_of_an_editor(read: Read, name: str) -> None:
    """A file may begin with the mark that editors on Windows put there."""
    text = {
        "a.ini": "[settings]\nmax_rows = 7\n",
        "a.toml": "[settings]\nmax_rows = 7\n",
        "a.yaml": "settings: {max_rows: 7}",
    }
    assert str(read(name, f"\ufeff{text[name]}").settings["max_rows"][0]) == "7"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('{"op": "subscribe" "args": ["hidden"]}', "a JSON object on a line of its own is accepted"),
        ('["subscribe"]', 'an object with "op" and "args" is accepted'),
        ('{"op": "login", "args": ["hidden"]}', "op 'login'; subscribe and unsubscribe are accepted"),
        ('{"op": "order", "args": [{"instId": "BTC-USDT"}]}', "op 'order'; subscribe and unsubscribe are accepted"),
        ('{"op": "subscribe"}', '"args" must be a list of topics'),
        ('{"op": "subscribe", "args": []}', '"args" must be a list of topics'),
        ('{"op": "subscribe", "args": [7]}', "topic 7: "),
        ('{"op": "subscribe", "args": ["tickers"]}', "topic 'tickers': instId missing"),
        ('{"op": "subscribe", "args": ["status"], "to": "b"}', "'to' is not known in a command"),
        ('{"op": "unsubscribe", "args": ["statos"]}', "topic 'statos': "),
    ],
)
def test_command(read: Read, command: str, said: str) -> None:
    """Only subscribe and unsubscribe are accepted; the line of the command itself is named."""
    text = '[a]\napiKey =\ncommands =\n    {"op": "subscribe", "args": ["status"]}\n\n    # next\n    ' + command
    with pytest.raises(ConfigError) as caught:
        read("a.ini", text)
    assert f"a.ini, line 7, [a] commands: {said}" in str(caught.value)
    assert "hidden" not in str(caught.value)
