"""An account's own channels: with the account that the variable `oktest` gives on OKX, else with the simulator's.

Only what changes nothing: these tests place no order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from houses import ACCOUNT, House, account_of
from waiting import eventually

from okws_celery.errors import DONE
from okws_celery.simulator import Simulator
from okws_celery.sync import Client

OWN = '{"apiKey": "k", "secret": "s", "password": "p", "demo": true}'


@pytest.fixture
def account() -> tuple[dict[str, object], bool]:
    """What logs in, and whether on the real exchange."""
    return account_of(os.environ.get("oktest", ""))  # noqa: SIM112  # its name in okws


@pytest.fixture
def private(
    account: tuple[dict[str, object], bool], redis_url: str, simulator: Simulator, tmp_path: Path
) -> Iterator[Client]:
    """A client, with a worker that reaches the account's exchange."""
    house = House(redis_url, simulator, tmp_path, str(tmp_path / "secret.key"), real=account[1])
    with house.worker(), house.client(timeout=30) as client:
        yield client


def test_balances(private: Client, account: tuple[dict[str, object], bool]) -> None:
    """The session logs in, and the balances are there by currency."""
    assert private.open_ws("desk", account[0])["errorCode"] == DONE
    assert private.subscribe("desk", ["account", "positions:ANY", "orders:SPOT"])["errorCode"] == DONE
    eventually(lambda: "account" in private.topics("desk"), timeout=30)
    balances = eventually(lambda: private.get("desk", "account"), timeout=60, what="the account has been pushed")
    assert balances
    assert private.status("desk")["message"] == "CONNECTED"


@pytest.mark.parametrize(
    ("oktest", "chosen"),
    [
        ("", (ACCOUNT, False)),
        ('{"apiKey": "", "secret": "", "password": ""}', (ACCOUNT, False)),
        ('{"apiKey": "k", "secret": "", "password": "p"}', (ACCOUNT, False)),
        (OWN, ({"apiKey": "k", "secret": "s", "password": "p", "demo": True}, True)),
    ],
)
def test_which_account(oktest: str, chosen: tuple[dict[str, object], bool]) -> None:
    """A complete account in `oktest` is taken to the real exchange, an empty one to the simulator."""
    assert account_of(oktest) == chosen


def test_account_that_is_none() -> None:
    """What cannot be read is said, and not shown."""
    with pytest.raises(AssertionError, match="oktest: a JSON object is accepted") as caught:
        account_of("hunter2")
    assert "hunter2" not in str(caught.value)
