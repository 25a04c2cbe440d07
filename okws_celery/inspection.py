"""`celery -A okws_celery inspect sessions [NAME]`: each worker shows what it holds, as Redis says.

Redis, since what a child of the prefork pool holds cannot be seen from the worker's main process.
"""

from __future__ import annotations

import json
from typing import Any

from celery.worker.control import Panel, inspect_command

from okws_celery.errors import OkwsError
from okws_celery.store.registry import Registry

__all__ = ["register"]


def register() -> None:
    """Make the command known to this process. Other applications' commands are not touched."""
    if "sessions" not in Panel.data:
        inspect_command(args=[("name", str)], signature="[name]")(sessions)


def sessions(state: Any, name: str = "", **_: Any) -> dict[str, Any]:
    """The sessions of this worker: status, links, topics and counters."""
    registry = getattr(state.app, "registry", None)
    if not isinstance(registry, Registry):
        return {"error": "this worker is not one of okws_celery"}
    try:
        found = _sessions(registry, state.hostname, name)
    except OkwsError as problem:
        return {"error": str(problem)}
    if name and not found:
        return {"ok": f"no session {name!r} in this worker"}
    return {"ok": found or "no session is open in this worker"}


def _sessions(registry: Registry, worker: str, name: str) -> dict[str, Any]:
    survey = registry.survey(worker)
    ours = sorted(
        held for held, token in survey.tokens.items() if token.rpartition("/")[0] in (worker, "") and name in ("", held)
    )
    with registry.redis.pipeline(transaction=False) as pipe:
        for held in ours:
            data = registry.data(held)
            pipe.get(data.status)
            pipe.hgetall(data.topics)
            pipe.hgetall(data.seen)
            pipe.get(registry.keys(held).counters)
        replies = pipe.execute()
    found: dict[str, Any] = {}
    for held, (status, states, seen, text) in zip(ours, zip(*[iter(replies)] * 4, strict=True), strict=True):
        counters = json.loads(text or "{}")
        found[held] = {
            "status": status or "",
            "holder": survey.tokens[held] or "nobody",
            "task_id": survey.task_ids[held],
            "links": counters.pop("links", {}),
            "topics": _topics(states, seen),
            "counters": counters,
        }
    return found


def _topics(states: dict[str, str], seen: dict[str, str]) -> dict[str, Any]:
    return {
        topic: json.loads(text) | ({"seen": int(seen[topic])} if topic in seen else {})
        for topic, text in sorted(states.items())
    }
