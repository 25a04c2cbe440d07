"""Credentials at rest: encrypted before they are dispatched, decrypted only where the session logs in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from okws_celery.errors import BadCommand, ConfigError
from okws_celery.settings import Settings

__all__ = ["SEALED", "fingerprint", "is_sealed", "seal", "unseal"]

SEALED = "okws-sealed"
"""The one key of sealed credentials: `{"okws-sealed": <Fernet token>, "key": <fingerprint>}`."""


def seal(settings: Settings, given: Mapping[str, object]) -> dict[str, str]:
    """Credentials as something that may stand in a task's arguments and in Redis."""
    key = _key(settings, create=True)
    token = Fernet(key).encrypt(json.dumps(dict(given)).encode()).decode()
    return {SEALED: token, "key": fingerprint(key)}


def unseal(settings: Settings, sealed: Mapping[str, object]) -> dict[str, object]:
    """What `seal` was given; BadCommand (80010) with both fingerprints if this machine's key is another one."""
    key = _key(settings, create=False)
    try:
        opened = json.loads(Fernet(key).decrypt(str(sealed.get(SEALED, "")).encode()))
    except InvalidToken:
        raise BadCommand(
            f"credentials: encrypted with key {sealed.get('key', 'unknown')}, this worker has key {fingerprint(key)}; "
            "share one OKWS_SECRET_KEY_FILE between the machines"
        ) from None
    return dict(opened)


def is_sealed(given: Mapping[str, object]) -> bool:
    """Whether these are sealed credentials."""
    return SEALED in given


def fingerprint(key: bytes) -> str:
    """Eight hex digits by which two machines can compare their keys without showing them."""
    return hashlib.sha256(b"okws-fingerprint:" + key).hexdigest()[:8]


def _key(settings: Settings, *, create: bool) -> bytes:
    if settings.secret_key:
        return _checked(settings.secret_key.encode(), "OKWS_SECRET_KEY")
    path = Path(settings.secret_key_file).expanduser()
    try:
        if create and not path.exists():
            _make(path)
        return _checked(path.read_bytes().strip(), f"OKWS_SECRET_KEY_FILE {path}")
    except OSError as problem:
        raise ConfigError(f"OKWS_SECRET_KEY_FILE {path}: {problem.strerror}") from None


def _make(path: Path) -> None:
    # Written whole under another name and then linked: whoever finds the file finds a complete key, and of two
    # processes that make it at once the first one's stays.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        Path(made).unlink()


def _checked(key: bytes, place: str) -> bytes:
    try:
        if len(base64.urlsafe_b64decode(key)) != 32:
            raise ValueError
    except ValueError:
        raise ConfigError(f"{place}: a Fernet key is accepted (32 bytes in URL-safe base64)") from None
    return key
