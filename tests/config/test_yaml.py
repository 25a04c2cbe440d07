"""The YAML form: what okws 2021 read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from okws_celery.config import ConfigFile
from okws_celery.errors import ConfigError

Read = Callable[[str, str], ConfigFile]


def test_file_of_okws_2021(read: Read) -> None:
    """Settings, servers and what they subscribe; what named okws's own machinery is passed over."""
    file = read(
        "okws.yaml",
        """
        settings:
          REDIS_URL: "redis://localhost"
          # how many candles
          MAX_ROW: 1000
          LISTEN_CHANNEL: 'trade-ws'
          REDIS_INFO_KEY: 'trade-ws/info'
          OKWS_INFO: 'okws/info'

        servers:
          - name: test
            apiKey: ""
            secret: ""
            password: ""

        subscribes:
          - server: test
            channels:
              - "tickers:ETH-USDT"
          - server: test
            channels:
              - channel: candle1m
                instId: ETH-USDT
              - tickers:ETH-USDT
        """,
    )
    assert {name: value for name, (value, _) in file.settings.items()} == {
        "redis_url": "redis://localhost",
        "max_rows": "1000",
        "namespace": "okws",
    }
    (session,) = file.sessions
    assert (session.name, session.topics) == ("test", ("tickers:ETH-USDT", "candle1m:ETH-USDT"))
    assert session.credentials == {}


def test_names_of_any_case_and_text_as_written(read: Read) -> None:
    """Keys are found in any case; a password of digits, or `yes`, is text and stays as it was written."""
    file = read(
        "okws.yml",
        """
        Settings: {max_row: 5}
        SERVERS:
        - {Name: a, APIKEY: 0123, Secret: yes, PassWord: 1e3, demo: true, Region: eea}
        - name: b
          profile: desk
        Subscribes:
        - Server: a
          Channels: account
        profiles:
          Desk: {apikey: k, secret: s, password: p}
        """,
    )
    first, second = file.sessions
    assert first.credentials == {"apiKey": "0123", "secret": "yes", "password": "1e3"}
    assert first.options == {"demo": True, "region": "eea"}
    assert first.topics == ("account",)
    assert second.options == {"profile": "desk"}
    assert file.profiles == {"desk": {"apiKey": "k", "secret": "s", "password": "p"}}


def test_nothing(read: Read) -> None:
    """An empty file, and empty sections, want nothing."""
    assert read("a.yaml", "# later\n") == ConfigFile()
    assert read("b.yaml", "settings:\nservers:\nsubscribes: ~\n") == ConfigFile()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("servers: [", "line 1: not YAML"),
        ("a: b\n c: hidden", "line 2: not YAML: mapping values are not allowed here"),
        ("servers:\n- name: a\n  password: *hidden", "line 3: not YAML: found undefined alias"),
        ("settings: \x07", "not YAML: it has a character"),
        ("- a", "line 1: 'key: value' is accepted"),
        ("sessions: {}", "line 1 sessions: not known; settings, servers, subscribes, profiles are accepted"),
        ("servers: {}\nSERVERS: {}", "line 2 SERVERS: stands there twice"),
        ("servers:\n  a: {}", r"line 2, \[servers\]: a list is accepted"),
        ("servers:\n- hidden", r"line 2, \[servers 1\]: 'key: value' is accepted"),
        ("servers:\n- apiKey: ''", r"line 2, \[servers 1\]: a server needs one name"),
        ("servers:\n- name: a b", r"line 2, \[servers a b\]: session name 'a b'"),
        ("servers:\n- name: a\n\n- name: a", r"line 4, \[servers a\]: session 'a' stands there twice"),
        ("servers:\n- name: a\n  secret: hidden", r"line 2, \[servers a\]: credentials: apiKey, password empty"),
        ("servers:\n- name: a\n  apiKey: [hidden]", r"line 3, \[servers 1\] apiKey: one value is accepted, not a list"),
        ("servers:\n- name: a\n  apiKey: {x: hidden}", r"line 3, \[servers 1\] apiKey: text is accepted"),
        ("servers:\n- name: a\n  key: hidden", r"line 3, \[servers 1\] key: not known; apiKey"),
        ("subscribes:\n- server: b\n  channels: [status]", r"line 2, \[subscribes 1\] server: no server 'b' stands"),
        ("subscribes:\n- server: b", r"line 2, \[subscribes 1\]: server and channels are needed"),
        (
            "subscribes:\n- {server: b, chanels: []}",
            r"line 2, \[subscribes 1\] chanels: not known; server and channels",
        ),
        ("subscribes:\n- server: [a]\n  channels: [status]", r"line 2, \[subscribes 1\] server: one value is accepted"),
        (
            "servers: [{name: a}]\nsubscribes:\n- server: a\n  channels:\n  - status\n  - tickers",
            r"line 6, \[subscribes 1\] channels: topic 'tickers': instId missing",
        ),
        (
            "servers: [{name: a}]\nsubscribes:\n- server: a\n  channels:\n  - [status]",
            r"line 5, \[subscribes 1\] channels: one value is accepted, not a list",
        ),
        ("? [a]\n: b", "line 1: a plain word is accepted as a key"),
        ("profiles:\n  a:\n    region: mars", r"line 3, \[profiles.a\] region: region 'mars'"),
    ],
)
def test_mistake(read: Read, text: str, said: str) -> None:
    """File, line and section are named, and what is accepted; a secret is not shown."""
    with pytest.raises(ConfigError, match=said) as caught:
        read("a.yaml", text)
    assert "a.yaml" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)
