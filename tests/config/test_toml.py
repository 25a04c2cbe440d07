"""The TOML form, and where in the file something stands, which Python's parser does not tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from okws_celery.config import ConfigFile
from okws_celery.errors import ConfigError

Read = Callable[[str, str], ConfigFile]


def test_sessions(read: Read) -> None:
    """A session has topics, credentials or a profile, and the options of `open_ws`."""
    file = read(
        "okws.toml",
        """
        [settings]
        max_rows = 500

        [profiles.desk]
        apiKey = "k"
        secret = "s"
        password = "p"
        region = "eea"

        [sessions.feed]
        topics = [
            "tickers:ETH-USDT",   # the first
            {channel = "candle1m", instId = "ETH-USDT"},
        ]
        publish = "pushes"

        [sessions."desk-1"]
        profile = "desk"
        demo = true
        topics = "orders:SPOT"

        [sessions.own]
        apiKey = "k2"
        secret = "s2"
        passphrase = "p2"
        proxy = "http://127.0.0.1:3128"
        """,
    )
    feed, desk, own = file.sessions
    assert (feed.name, feed.topics, feed.options) == (
        "feed",
        ("tickers:ETH-USDT", "candle1m:ETH-USDT"),
        {"publish": "pushes"},
    )
    assert (desk.name, desk.topics, desk.options) == ("desk-1", ("orders:SPOT",), {"profile": "desk", "demo": True})
    assert own.credentials == {"apiKey": "k2", "secret": "s2", "passphrase": "p2"}
    assert own.options == {"proxy": "http://127.0.0.1:3128"}
    assert file.profiles == {"desk": {"apiKey": "k", "secret": "s", "password": "p", "region": "eea"}}
    assert file.settings["max_rows"][0] == 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sessions.a", "line 1: not TOML"),
        ('[sessions.a]\napiKey = "hidden\n', "line 2: not TOML"),
        ("[sessions.a]\napiKey = hidden\n", "line 2: not TOML"),
        ('[sessions.a]\n\n[sessions.b]\n[sessions."a"]', "line 4: not TOML"),
        ("[sesions.a]", r"line 1: section \[sesions\] is not known; \[settings\], \[profiles.<name>\]"),
        ("sessions = 1", r"line 1: \[sessions\] must be a table"),
        ('[sessions]\na = "hidden"', r"line 2: \[sessions.a\] must be a table"),
        ("[[sessions.a]]\nregion = 'us'", r"line 1: \[sessions.a\] must be a table"),
        ("\n[sessions.'my feed']", r"line 2, \[sessions.my feed\]: session name 'my feed'"),
        ("[sessions.a]\n# secret\nsecret = 'hidden'", r"line 1, \[sessions.a\]: credentials: apiKey, password empty"),
        ("[sessions.a]\napiKey = 7", r"line 2, \[sessions.a\] apiKey: text is accepted"),
        ("[sessions.a]\nregion = 'us'\nreg = 1", r"line 3, \[sessions.a\] reg: not known; apiKey, secret"),
        ("sessions.a.region = 'us'\nsessions.a.demo = 'x'", r"line 2, \[sessions.a\] demo: true or false is accepted"),
        ("[sessions]\na = {region = 'us', demo = 2}", r"line 2, \[sessions.a\] demo: true or false is accepted"),
        (
            "[sessions.a]\ntopics = [\n'status',\n'tickers',\n]",
            r"line 4, \[sessions.a\] topics: topic 'tickers': instId",
        ),
        ("[sessions.a]\ntopics = ['status', 7]", r"line 2, \[sessions.a\] topics: topic 7"),
        ("[sessions.a]\ntopics = 7", r"line 2, \[sessions.a\] topics: a list of topics is accepted"),
        ("[sessions.a]\nproxy = '''\nhost'''\nregion = 'mars'", r"line 2, \[sessions.a\] proxy: proxy "),
        (
            "[sessions.a]\npassword = '''\n[b]\nx = 1\n'''\nregion = 'mars'",
            r"line 6, \[sessions.a\] region: region 'mars'",
        ),
        ("[profiles.a]\n[profiles.A]", r"line 2, \[profiles.A\]: profile 'A' stands there twice"),
    ],
)
def test_mistake(read: Read, text: str, said: str) -> None:
    """File, line and section are named, and what is accepted; a secret is not shown."""
    with pytest.raises(ConfigError, match=said) as caught:
        read("a.toml", text)
    assert "a.toml" in str(caught.value)
    assert "hidden" not in str(caught.value)
