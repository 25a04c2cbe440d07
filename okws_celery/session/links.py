"""The links of one session: one for each path that is needed, and those that another is about to replace.

OKX announces the close of a connection a minute before (64008, PROTOCOL 2.4). Then a second link is connected and
subscribed, and the first is left when the second has everything, so that readers see no gap.
"""

from __future__ import annotations

from collections.abc import Callable

from okws_celery.okx.catalogue import Kind
from okws_celery.okx.endpoints import Endpoints
from okws_celery.session.board import Board
from okws_celery.session.link import Link, LinkState
from okws_celery.session.subscriptions import Change, State

__all__ = ["Links"]

_REPLACE_S = 45.0
"""How long a replacement may take, s; the exchange closes the old link 60 s after its notice."""


class Links:
    """Belongs to the session's loop; `now` is time.monotonic()."""

    def __init__(self, name: str, endpoints: Endpoints, board: Board, on_ready: Callable[[Link, int], None]) -> None:
        """`on_ready` is called for a link whose socket is ready, with the poller's mask."""
        self._name = name
        self._endpoints = endpoints
        self._board = board
        self._on_ready = on_ready
        self._by_path: dict[str, Link] = {}
        # Links that are being replaced, and until when that may take.
        self._retiring: dict[Link, float] = {}

    def of(self, path: str) -> Link:
        """The link of a path; what is wanted there is asked of it."""
        link = self._by_path.get(path)
        if link is None:
            link = self._by_path[path] = Link(path, self._endpoints.ws(path), self._name, self._on_ready)
        return link

    def current(self) -> list[Link]:
        """One for each path."""
        return list(self._by_path.values())

    def every(self) -> list[Link]:
        """Also those that are being replaced."""
        return [*self._by_path.values(), *self._retiring]

    def retiring(self, link: Link) -> bool:
        """Whether this one is being replaced."""
        return link in self._retiring

    def replaces(self, link: Link) -> bool:
        """Whether another link to the same path is being replaced by this one."""
        return link not in self._retiring and any(
            old.path == link.path and old.state is LinkState.UP for old in self._retiring
        )

    @property
    def complete(self) -> bool | None:
        """Whether every link that is needed, or one that it replaces, is up and logged in; None if none is needed."""
        needed = [link for link in self.current() if link.needed]
        stand_ins = {link.path for link in self._retiring if link.state is LinkState.UP}
        return all(link.complete or link.path in stand_ins for link in needed) if needed else None

    def replace(self, link: Link, now: float) -> None:
        """Begin to replace a link that the exchange is about to close."""
        if self._by_path.get(link.path) is not link or not link.subscriptions.needed:
            return
        following = self._by_path[link.path] = Link(link.path, link.url, self._name, self._on_ready)
        following.wants_login = link.wants_login
        for arg in link.subscriptions.wanted():
            following.subscriptions.want(arg, now)
        self._retiring[link] = now + _REPLACE_S

    def leave_replaced(self, now: float, busy: Callable[[Link], bool]) -> list[tuple[Link, list[Change]]]:
        """Leave the links that are replaced by now, or were not in time; the latter, with what breaks off with them.

        One on which the reply to an op is awaited (`busy`) may take a little longer.
        """
        broken: list[tuple[Link, list[Change]]] = []
        for link, until in list(self._retiring.items()):
            if not link.connected:
                del self._retiring[link]
            elif link.state is LinkState.CLOSING:
                continue
            elif self._replaced(link) and not busy(link):
                self._board.replaced(link.serial, self._by_path[link.path].serial)
                link.close("replaced", now)
            elif now >= until:
                broken.append((link, link.subscriptions.link_down()))
                link.close("not replaced in time", now)
        return broken

    def concern(self, link: Link, changes: list[Change]) -> list[Change]:
        """Which changes of a link the session is to know of: of one that is being replaced, few."""
        if link not in self._retiring:
            return changes
        following = self._by_path[link.path].subscriptions
        return [
            change
            for change in changes
            if change.kind == "broken" or (change.kind == "gone" and following.state(change.arg) is None)
        ]

    def _replaced(self, link: Link) -> bool:
        """Whether the link that follows has everything: each topic acknowledged, each book with its snapshot."""
        following = self._by_path[link.path]
        if not following.complete or not following.subscriptions.settled or following.subscriptions.touched:
            return False
        for arg in following.subscriptions.wanted():
            book = any(
                entry.topic.channel.kind is Kind.BOOK and entry.source != following.serial
                for entry in self._board.of_arg(arg)
            )
            if book or following.subscriptions.state(arg) is not State.LIVE:
                return False
        return True
