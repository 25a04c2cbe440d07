"""The process that a server starts: an ordinary `celery -A okws_celery worker` that ends with its parent.

`python -m okws_celery.server_worker <parent's pid> <descriptor> <options of the worker>`; a byte is written to the
descriptor when the worker takes tasks. Not meant to be run by hand.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from celery.signals import worker_ready

_LOOK_S = 0.3
_PATIENCE_S = 15.0
"""How long an orphan may take to end its sessions."""


def main() -> None:
    """Run the worker, until it is told to stop or its parent has gone."""
    parent, descriptor, *options = sys.argv[1:]
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()

    @worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]  # Celery has no types
    def ready(**_: Any) -> None:
        with suppress(OSError):  # the parent may have gone
            os.write(int(descriptor), b"+")
            os.close(int(descriptor))

    from celery.__main__ import main as celery

    sys.argv = ["celery", "-A", "okws_celery", "worker", *options]
    celery()


def _end_with(parent: int) -> None:
    """A process whose parent dies is given another one, on every Unix and whatever the parent died of."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):  # nobody reads the pipes any more
        with suppress(OSError):
            os.dup2(nowhere, stream)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
