"""`send`: an op of OKX, such as an order, through a session that is logged in; at most once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okws_celery.calls.sending import carry_out, checked_op, topics_of
from okws_celery.celery import app
from okws_celery.errors import Answer
from okws_celery.store.registry import now_ms
from okws_celery.tasks.base import task, too_late
from okws_celery.tasks.subscriptions import subscribe, unsubscribe

__all__ = ["send"]


@task("send", acks_late=False, resultrepr_maxsize=0)  # workers log results, and an order is nobody else's business
def send(name: str, op: Mapping[str, Any], *, deadline: int | None = None) -> Answer:
    """Have a session send an op, `{"op": "order", "args": [{...}]}`; OKX's reply stands in `reply`.

    80000, OKX's code, 80012 if it was not sent, 80014 if nobody knows. `deadline` (Unix ms) is OKWS_TIMEOUT from the
    call, or Celery's `expires`. Delivered twice, it is carried out once: the task's id is the command's.
    """
    checked = checked_op(name, op)
    topics = topics_of(checked)
    if topics is not None and checked["op"] == "unsubscribe":
        return unsubscribe(name, topics)
    if topics is not None:
        return subscribe(name, topics, deadline=deadline)
    late = too_late(deadline)
    if late is not None:
        return late
    deadline = deadline or now_ms() + int(app.okws.timeout_s * 1000)
    return carry_out(app.registry, name, checked, deadline, send.request.id or "")
