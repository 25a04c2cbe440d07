"""Listeners of both kinds, and what they hear."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from bridge import KINDS, make_client
from publisher import Publisher

from okws_celery.settings import load
from okws_celery.sync import Client


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which client."""
    return str(request.param)


@pytest.fixture
def client_of(kind: str) -> Iterator[Callable[[str], Client]]:
    """Makes clients of one kind, on the Redis at an address."""
    made: list[Client] = []

    def client_of(url: str) -> Client:
        made.append(make_client(kind, load({"OKWS_REDIS_URL": url})))
        return made[-1]

    yield client_of
    for one in made:
        one.close()


@pytest.fixture
def client(redis_url: str, client_of: Callable[[str], Client]) -> Client:
    """A client of an empty Redis."""
    return client_of(redis_url)


@pytest.fixture
def publisher(redis_url: str) -> Iterator[Publisher]:
    """A session's half of that Redis."""
    with Publisher(redis_url) as made:
        yield made
