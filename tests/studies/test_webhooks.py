"""Webhooks: alerts posted over real TLS to a real server, signed, and tried again."""

import hashlib
import hmac
import json
import ssl
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from studies.models import Delivery, DeliveryStatus
from studies.services import alerting, events
from studies.services.subscriptions import subscribe

pytestmark = pytest.mark.django_db


def certificate(folder):
    """A key and a self-signed certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hook")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "hook.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


class Hook(HTTPServer):
    """Keeps what was posted; answers `status`."""

    def __init__(self, file) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.status, self.posts = 204, []
        self.address = f"https://127.0.0.1:{self.server_port}/alerts"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "https://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_) -> None:
        """Nothing: the posts are kept."""


@pytest.fixture
def hook(tmp_path, monkeypatch, settings):
    file = certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    server = Hook(file)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def subscription(hook, cast):
    return subscribe(cast.olga, "webhook", hook.address, "notice")


def test_a_post_says_what_happened_and_is_signed(hook, subscription, submitted):
    event = events.record("study_exhausted", study=submitted, reason="the budget is spent")
    assert alerting.sweep() == 1
    ((headers, body),) = hook.posts
    expected = hmac.new(subscription.secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["Cloister-Signature"] == f"sha256={expected}"
    document = json.loads(body)
    assert document["id"] == event.pk
    assert document["kind"] == "study_exhausted"
    assert document["severity"] == "alarm"
    assert document["study"] == "heart-disease"
    assert "budget is spent" in document["sentence"]


@pytest.mark.parametrize("status", [500, 404, 302])
def test_an_answer_that_is_no_success_is_tried_again(status, hook, subscription, submitted):
    hook.status = status
    events.record("study_exhausted", study=submitted)
    assert alerting.sweep() == 0
    assert Delivery.objects.get().problem == f"the host answered {status}"
    assert len(hook.posts) == 1  # a redirection is never followed


def test_a_host_that_is_no_longer_allowed_gets_nothing(hook, subscription, submitted, settings):
    events.record("study_exhausted", study=submitted)
    settings.WEBHOOK_HOSTS = []
    assert alerting.sweep() == 0
    assert hook.posts == []
    assert Delivery.objects.get().status == DeliveryStatus.WAITING


def test_a_host_that_is_away_is_tried_again(hook, cast, submitted):
    subscribe(cast.olga, "webhook", "https://127.0.0.1:1/alerts", "notice")
    events.record("study_exhausted", study=submitted)
    assert alerting.sweep() == 0
    assert "did not answer" in Delivery.objects.get().problem
