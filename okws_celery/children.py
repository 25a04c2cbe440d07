"""Child processes that do not outlive the command that started them, and the signals that tell a command to stop.

Children are stopped by pid, never by name.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

__all__ = ["Child", "StopRequest", "start"]

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Child:
    """A running program, the leader of a process group of its own, with everything that it prints in `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def stop(self, patience_s: float = 10.0) -> None:
        """SIGTERM, then SIGKILL to its whole group once `patience_s` seconds have passed. Nothing if it has ended."""
        if not self.alive:
            return
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)  # one that was stopped by SIGSTOP has to wake up to end
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def last_lines(self, count: int = 10) -> list[str]:
        """The last lines of its log that are not empty."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line.strip()][-count:]


def start(
    name: str,
    command: Sequence[str],
    log: Path,
    env: Mapping[str, str] | None = None,
    *,
    orphaned: signal.Signals = signal.SIGTERM,
) -> Child:
    """Start `command` in a session of its own, so that Ctrl-C on the terminal reaches its parent only.

    On Linux the kernel sends it the signal `orphaned` when the thread that calls this function ends, however that
    happens: call it from the main thread. Elsewhere a parent that is killed by SIGKILL leaves its children behind.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=_end_with_parent(orphaned),  # it makes two system calls and takes no lock
        )
    return Child(name, process, log)


def _end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork as little as possible may happen
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask_the_kernel


class StopRequest:
    """Within its `with` block SIGINT, SIGTERM and SIGHUP are noted here and do nothing else. For the main thread."""

    def __init__(self) -> None:
        self.count = 0
        """How many such signals came: the second one means that the first was not obeyed fast enough."""
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup: tuple[socket.socket, socket.socket] | None = None
        self._wakeup_before = -1

    def __bool__(self) -> bool:
        return self.count > 0

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until a signal comes or the time is up; whether one has come."""
        if not self.count and self._wakeup:
            select.select([self._wakeup[0]], [], [], seconds)
        return self.count > 0

    def __enter__(self) -> Self:
        self._wakeup = socket.socketpair()
        for end in self._wakeup:
            end.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._wakeup[1].fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A shell without job control starts `command &` with SIGINT ignored, yet a `kill -INT` is meant;
            # `nohup` ignores SIGHUP on purpose.
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        for end in self._wakeup or ():
            end.close()
        self._wakeup = None

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
