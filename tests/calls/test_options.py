"""What `open_ws` is asked for: checked where it is called, sealed, and opened again where the session runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from okws_celery.calls.options import checked_options, resolved_options, shown_options
from okws_celery.errors import BadCommand
from okws_celery.okx.login import Credentials
from okws_celery.settings import Settings, load

KEYS = {"apiKey": "the-key", "secret": "the-secret", "password": "the-pass"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a key file of their own."""
    return load({"OKWS_SECRET_KEY_FILE": str(tmp_path / "secret.key")})


def sent(settings: Settings, auth_params: Any = None, **given: Any) -> dict[str, Any]:
    """Options as they travel."""
    return json.loads(json.dumps(checked_options(settings, auth_params, given, sealing=True)))


class TestCredentials:
    def test_there_and_back(self, settings: Settings) -> None:
        """What arrives is what was given, and nothing of it can be read on the way."""
        options = sent(settings, KEYS, region="eea")
        for part in KEYS.values():
            assert part not in json.dumps(options)
        who, rest = resolved_options(settings, options)
        assert who == Credentials("the-key", "the-secret", "the-pass")
        assert rest == {"region": "eea"}

    @pytest.mark.parametrize("none", [None, {}, {"apiKey": "", "secret": "", "password": ""}, {"apiKey": None}])
    def test_none(self, settings: Settings, none: Any) -> None:
        """No credentials, or only empty ones, make a public session."""
        assert sent(settings, none) == {}
        assert resolved_options(settings, {}) == (None, {})

    @pytest.mark.parametrize("spelling", ["apiKey", "apikey", "APIKEY", "api_key"])
    def test_spellings(self, settings: Settings, spelling: str) -> None:
        """The key's name may be written in any case, the passphrase by either of its names."""
        who, _ = resolved_options(settings, sent(settings, {spelling: "k", "secret": "s", "passphrase": "p"}))
        assert who == Credentials("k", "s", "p")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"apiKey": "the-key"},
            KEYS | {"password": ""},
            KEYS | {"secret": 5},
            KEYS | {"passwort": "the-pass"},
            "the-key",
            ["the-key"],
        ],
    )
    def test_wrong(self, settings: Settings, wrong: Any) -> None:
        """The text names what is wrong and never a value."""
        with pytest.raises(BadCommand) as problem:
            sent(settings, wrong)
        assert not any(part in str(problem.value) for part in KEYS.values())

    def test_sealed_before(self, settings: Settings) -> None:
        """What is sealed stays as it is, so that a copy that is sent again is the same."""
        sealed = sent(settings, KEYS)["credentials"]
        assert checked_options(settings, sealed, {"demo": True}, sealing=False) == {"demo": True, "credentials": sealed}

    def test_in_clear_on_arrival(self, settings: Settings) -> None:
        """A worker does not take credentials that travelled in clear."""
        with pytest.raises(BadCommand, match="in clear"):
            checked_options(settings, KEYS, {}, sealing=False)

    def test_another_key(self, settings: Settings, tmp_path: Path) -> None:
        """A worker with another key says so, by the fingerprints of both."""
        options = sent(settings, KEYS)
        other = load({"OKWS_SECRET_KEY": Fernet.generate_key().decode()})
        with pytest.raises(BadCommand, match=options["credentials"]["key"]):
            resolved_options(other, options)

    def test_password_of_a_proxy(self, settings: Settings) -> None:
        """A proxy with a password is sealed as well; one without is not."""
        options = sent(settings, None, proxy="socks5h://me:hidden@10.0.0.1:1080")
        assert "hidden" not in json.dumps(options)
        who, rest = resolved_options(settings, options)
        assert (who, rest["proxy"]) == (None, "socks5h://me:hidden@10.0.0.1:1080")
        assert sent(settings, None, proxy="http://10.0.0.1:3128") == {"proxy": "http://10.0.0.1:3128"}


class TestProfiles:
    def test_profile(self, settings: Settings) -> None:
        """Credentials and options of the worker's profile; those of the call win."""
        profile = KEYS | {"region": "eea", "demo": "1", "proxy": "http://10.0.0.1:3128"}
        worker = settings.with_(profiles={"desk": profile})
        who, rest = resolved_options(worker, sent(settings, None, profile="Desk", demo=False))
        assert who == Credentials("the-key", "the-secret", "the-pass")
        assert (rest["region"], rest["demo"], rest["proxy"]) == ("eea", False, "http://10.0.0.1:3128")

    def test_unknown(self, settings: Settings) -> None:
        """It is named, with those that are known and how to make one."""
        with pytest.raises(BadCommand, match=r"'desk'.*known: none.*OKWS_PROFILE_DESK"):
            resolved_options(settings, {"profile": "desk"})

    @pytest.mark.parametrize("wrong", [{"apiKey": "k"}, {"colour": "red"}, {"region": "mars"}])
    def test_wrong_profile(self, settings: Settings, wrong: dict[str, str]) -> None:
        """A profile is checked like a call."""
        with pytest.raises(BadCommand):
            resolved_options(settings.with_(profiles={"desk": wrong}), {"profile": "desk"})

    def test_not_both(self, settings: Settings) -> None:
        """Whose credentials should they be?"""
        with pytest.raises(BadCommand, match="not both"):
            sent(settings, KEYS, profile="desk")


class TestOptions:
    def test_in_the_credentials(self, settings: Settings) -> None:
        """Options may stand beside the credentials, as in a profile."""
        assert sent(settings, {"region": "us", "demo": 1}) == {"region": "us", "demo": True}

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            ({"region": "mars"}, "global, us, eea"),
            ({"region": 5}, "region must be text"),
            ({"demo": "maybe"}, "true or false"),
            ({"demo": []}, "true or false"),
            ({"publish": "all"}, "both, pushes, rows, none"),
            ({"ws_url": "https://x"}, "ws://"),
            ({"rest_url": "x"}, "https://"),
            ({"proxy": "socks4://x"}, "socks5h://"),
            ({"proxy": "http://["}, "socks5h://"),
            ({"profile": "a b"}, "A-Z a-z 0-9"),
            ({"colour": "red"}, "'colour'"),
        ],
    )
    def test_wrong(self, settings: Settings, given: dict[str, Any], complaint: str) -> None:
        """One line names the option and what is accepted."""
        with pytest.raises(BadCommand) as problem:
            sent(settings, None, **given)
        assert complaint in str(problem.value)

    def test_shown(self, settings: Settings) -> None:
        """Monitors see the options, and that there are credentials."""
        shown = shown_options(sent(settings, KEYS, region="eea"))
        assert shown == "{'region': 'eea', 'credentials': '***'}"
