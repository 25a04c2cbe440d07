"""A real worker process and a simulator that replays a capture."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from workers import Worker

import okws_celery
from okws_celery.simulator import Simulator
from okws_celery.sync import Client


class Replay(NamedTuple):
    """A capture on its way through a real worker."""

    simulator: Simulator
    client: Client
    redis_url: str


class Certificate(NamedTuple):
    """Paths of PEM files; the certificate is its own authority."""

    cert: str
    key: str


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For wss on 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated exchange")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return Certificate(str(folder / "cert.pem"), str(folder / "key.pem"))


@pytest.fixture
def replay(redis_url: str, certificate: Certificate, tmp_path: Path) -> Iterator[Callable[..., Replay]]:
    """Starts a simulator that replays a capture, a worker connected to it, and opens the session `real`."""
    with ExitStack() as running:

        def start(capture: Path, *, wss: bool = False, pace: str = "max") -> Replay:
            simulator = running.enter_context(
                Simulator(
                    replay=capture / "replay.jsonl", pace=pace, limits=False, tls=certificate if wss else None
                )
            )
            variables = {"OKWS_WS_URL": simulator.ws_url, "OKWS_REST_URL": simulator.rest_url}
            if wss:
                variables["OKWS_CA_FILE"] = certificate.cert
            running.enter_context(Worker(tmp_path, redis_url, **variables))
            client = running.enter_context(okws_celery.client(redis_url))
            account = {"apiKey": "demo", "secret": "demo-secret", "password": "demo-pass"}
            said = client.open_ws("real", account)
            assert said["errorCode"] == 80000, said
            return Replay(simulator, client, redis_url)

        yield start
