"""Login: the signature's vectors, and what counts as credentials."""

from __future__ import annotations

import json
from typing import Any

import pytest

from okws_celery.errors import BadCommand
from okws_celery.okx.login import HINTS, REFUSED_FOR_GOOD, Credentials, credentials, login_request, sign

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"


@pytest.mark.parametrize(
    ("timestamp", "path", "expected"),
    [
        ("1704876947", "/users/self/verify", "5/36BgGV6m/6pmdc20zdqk0mzF5ZalmzzPD2fo3wavU="),
        ("1538054050", "/users/self/verify", "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M="),
        ("2020-12-08T09:08:57.715Z", "/api/v5/account/balance?ccy=BTC", "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY="),
    ],
)
def test_signature_vectors(timestamp: str, path: str, expected: str) -> None:
    """PROTOCOL 3."""
    assert sign(SECRET, timestamp, "GET", path) == expected


def test_the_login_op() -> None:
    """Whole seconds, one account (PROTOCOL 3)."""
    assert json.loads(login_request(Credentials("key", SECRET, "pass"), 1704876947.9)) == {
        "op": "login",
        "args": [
            {
                "apiKey": "key",
                "passphrase": "pass",
                "timestamp": "1704876947",
                "sign": "5/36BgGV6m/6pmdc20zdqk0mzF5ZalmzzPD2fo3wavU=",
            }
        ],
    }


@pytest.mark.parametrize(
    "given",
    [
        {"apiKey": "k", "secret": "s", "password": "p"},
        {"apikey": "k", "secret": "s", "passphrase": "p"},
        {"APIKEY": "k", "Secret": "s", "Password": "p"},
        {"api_key": "k", "secret": "s", "password": "", "passphrase": "p", "region": "eea"},
    ],
)
def test_spellings_of_credentials(given: dict[str, str]) -> None:
    """apiKey in any case, password or passphrase."""
    assert credentials(given) == Credentials("k", "s", "p")


@pytest.mark.parametrize(
    "given", [{}, {"apiKey": "", "secret": "", "password": ""}, {"apiKey": None}, {"region": "eea"}]
)
def test_none_are_a_public_session(given: dict[str, Any]) -> None:
    """All empty or none."""
    assert credentials(given) is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"apiKey": "hidden"}, "secret, password"),
        ({"apiKey": "hidden", "secret": "hidden", "password": ""}, "password"),
        ({"secret": "hidden", "password": "hidden"}, "apiKey"),
        ({"apiKey": "hidden", "secret": 5, "password": "hidden"}, "secret must be text"),
        ({"apiKey": ["hidden"], "secret": "hidden", "password": "hidden"}, "apiKey must be text"),
    ],
)
def test_half_of_them_is_an_error_that_names_fields_only(given: dict[str, Any], named: str) -> None:
    """80010, and never a value."""
    with pytest.raises(BadCommand) as caught:
        credentials(given)
    assert named in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "5" not in str(caught.value)


def test_credentials_do_not_show_themselves() -> None:
    """Neither in repr nor in text."""
    assert repr(Credentials("key", "hidden", "pass")) == "Credentials()"


def test_hints_cover_what_a_person_can_do() -> None:
    """Wrong region or demo, above all; a clock that is off is not for good."""
    assert "region" in HINTS[60032]
    assert "clock" in HINTS[60006]
    assert {60005, 60007, 60024, 60032, 50101, 50110} <= REFUSED_FOR_GOOD <= HINTS.keys()
    assert not {60004, 60006, 60014, 63999, 64007} & REFUSED_FOR_GOOD
