"""Whom we trust in TLS: the system's authorities, and those of OKWS_CA_FILE.

A context takes the better part of a megabyte, for the list of authorities, and some time to be made; so all sessions of
a process share theirs.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Literal

__all__ = ["trusting"]

_KEPT = 8
_contexts: dict[tuple[str | int | None, ...], ssl.SSLContext] = {}


def trusting(ca_file: str, user: Literal["rest", "websocket"]) -> ssl.SSLContext:
    """The context for a user, who may set what is his own in it, such as ALPN. OSError if the file cannot be read.

    A file that was replaced, and other variables of OpenSSL's, are noticed with the next call.
    """
    changed = Path(ca_file).stat().st_mtime_ns if ca_file else 0
    key = (user, ca_file, changed, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    context = _contexts.get(key)
    if context is None:
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(ca_file)
        if len(_contexts) >= _KEPT:
            _contexts.clear()
        _contexts[key] = context
    return context
