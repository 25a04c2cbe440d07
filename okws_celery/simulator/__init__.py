"""An OKX that runs on this machine: for demos, tests and offline work (the extra `simulator` brings what it needs).

    with Simulator(seed=1) as sim:
        connect(sim.ws_url + "/public")

Nothing is imported before it is used, so that a program which only might start a simulator needs no server library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from okws_celery.simulator.threaded import Simulator

__all__ = ["Simulator"]


def __getattr__(name: str) -> Any:
    if name == "Simulator":
        from okws_celery.simulator.threaded import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
