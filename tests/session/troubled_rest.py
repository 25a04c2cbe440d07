"""A REST in front of the simulator's that has bad days: it is busy, slow, silent, or forgets the newest."""

from __future__ import annotations

import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Trouble:
    """What it does to the next requests; `asked` has the target of each."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.asked: list[str] = []
        self.statuses: list[int] = []
        """Answered with these, in order, before answers are true again."""
        self.always = 0
        """Answered with this status for as long as it is set."""
        self.seconds = 0.0
        """How late each answer is, after the request was answered behind it."""
        self.refused = ""
        """What has this in its path is refused."""
        self.said: dict[str, bytes] = {}
        """What has the key in its path is answered with this, whatever is true."""
        self.limit = 0
        """The most rows of an answer, if not as many as are asked for."""
        self.url = ""

    def answer(self, target: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(target)
        answer = self._answer(target, headers)
        time.sleep(self.seconds)
        return answer

    def _answer(self, target: str, headers: dict[str, str]) -> tuple[int, bytes]:
        status = self.always or (self.statuses.pop(0) if self.statuses else 200)
        if status == 429:
            return 429, b'{"code":"50011","msg":"Too Many Requests","data":[]}'
        for path, body in self.said.items():
            if path in target:
                return 200, body
        if self.refused and self.refused in target:
            return 200, b'{"code":"50026","msg":"System error","data":[]}'
        if status != 200:
            return status, b"<html>not now</html>"
        if self.limit:
            target = re.sub(r"limit=\d+", f"limit={self.limit}", target)
        request = urllib.request.Request(self.behind + target, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status), answer.read()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.read()


@contextmanager
def troubled(behind: str) -> Iterator[Trouble]:
    """A running one on a port of its own."""
    trouble = Trouble(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            signed = {key: value for key, value in self.headers.items() if key.upper().startswith(("OK-", "X-"))}
            status, body = trouble.answer(self.path, signed)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    trouble.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield trouble
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
