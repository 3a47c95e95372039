"""A hub of the tests' own: the site API's table over real HTTP, with everything it received."""

import json
import threading
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from accounting.log import merkle
from accounting.log.checkpoints import Checkpoint, origin, signed
from federation.protocol.canonical import canonical_json, digest
from federation.protocol.document import Protocol
from federation.protocol.http_signatures import RequestRefused, verify_request
from federation.protocol.keys import SigningKey, verify
from federation.protocol.messages import (
    ApprovedProtocol,
    Assignment,
    Contribution,
    Offer,
    Refusal,
    Statement,
    open_envelope,
    sign,
    timestamp,
)
from federation.protocol.tensors import Tensors, pack

API = "/site-api/v1/"


@dataclass
class Task:
    """One assignment and what came back for it."""

    envelope: bytes
    model: bytes
    tensors: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    progress: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False

    @property
    def open(self) -> bool:
        return not self.answers and not self.closed


@dataclass(frozen=True)
class Seen:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: str
    body: bytes
    status: int


class Hub:
    """Start with `start()`; a stopped hub keeps its rows and may start again on its port."""

    def __init__(self, slug: str = "north") -> None:
        self.key = SigningKey.generate()
        self.slug = slug
        self.tokens = {"token-1"}
        self.site_key: str | None = None
        self.tasks: dict[str, Task] = {}
        self.approvals: dict[str, bytes] = {}
        self.offers: list[Offer] = []
        self.ledger: list[bytes] = [b"declared"]
        self.shows: Callable[[int], dict[str, Any] | None] = self.checkpoint
        self.header = True  # whether the checkpoint comes with an assignment
        self.statements: list[Statement] = []
        self.journal: list[dict[str, Any]] = []  # this site's, as it told it
        self.seen: list[Seen] = []
        self.nonces: set[str] = set()
        self.skew = timedelta(0)
        self.fail_with: dict[str, int] = {}  # "PUT tensors" -> status
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self.changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew

    def approve(self, protocol: Protocol, *, study: str = "heart-study", **changes: Any) -> None:
        statement = {
            "protocol_digest": protocol.digest,
            "document": protocol.canonical().decode(),
            "study": study,
            "institution": self.slug,
            "dataset": "heart",
            "lineage": "heart-patients",
            "approved_by": "ada",
            "approved_at": timestamp(datetime.now(UTC)),
        } | changes
        self.approvals[protocol.digest] = sign(ApprovedProtocol(**statement), self.key)

    def assign(
        self, protocol: Protocol, model: Tensors, *, key: SigningKey | None = None, **changes: Any
    ) -> str:
        data = pack(model)
        now = datetime.now(UTC)
        fields = {
            "assignment": uuid4().hex,
            "addressee": self.slug,
            "study": "heart-study",
            "round": 1,
            "attempt": 1,
            "phase": "train",
            "issued_at": timestamp(now),
            "expires_at": timestamp(now + timedelta(minutes=5)),
            "protocol_digest": protocol.digest,
            "model_digest": digest(data),
            "parameters": {},
        } | changes
        self.tasks[fields["assignment"]] = Task(sign(Assignment(**fields), key or self.key), data)
        with self.changed:
            self.changed.notify_all()
        return fields["assignment"]

    def checkpoint(self, since: int, *, key: SigningKey | None = None) -> dict[str, Any]:
        """The head of the ledger as it stands now, with a proof from `since` where there is one."""
        return shown(self.ledger, since, key or self.key)

    def answer(self, uid: str, seconds: float = 40) -> Contribution | Refusal:
        """The verified answer to an assignment, waiting for it."""
        task = self.tasks[uid]
        with self.changed:
            assert self.changed.wait_for(lambda: task.answers, seconds), "no answer came"
        return open_envelope(task.answers[-1], self.site_key, (Contribution, Refusal))

    def wait_for(self, condition: Any, seconds: float = 20) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "it did not happen"

    def traffic(self) -> bytes:
        """Every byte that the site sent."""
        return b"\n".join(
            f"{seen.method} {seen.path}\n{seen.headers}".encode() + seen.body for seen in self.seen
        )


def shown(ledger: list[bytes], since: int, key: SigningKey) -> dict[str, Any]:
    """What a hub with this ledger and this key would show."""
    leaves = [merkle.leaf_hash(body) for body in ledger]
    size, root = len(leaves), merkle.root(leaves).hex()
    note = Checkpoint(origin(key.public), size, root, timestamp(datetime.now(UTC)))

    def subtree(level: int, index: int) -> bytes:
        return merkle.root(leaves[index << level : (index + 1) << level])

    proof = merkle.consistency_proof(since, size, subtree) if since <= size else []
    return {
        "checkpoint": signed(note, key).to_json(),
        "consistency": [step.hex() for step in proof],
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, *arguments: Any) -> None:
        self._open: set[Any] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client: Any) -> None:
        self._open.add(request)
        super().process_request(request, client)

    def cut(self) -> None:
        """Close kept-alive connections too, as a killed hub does."""
        for request in self._open:
            try:
                request.shutdown(2)
            except OSError:
                continue

    def handle_error(self, request: Any, client: Any) -> None:
        """A site that was killed leaves broken connections."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = self._judge(body)
        seen = Seen(self.command, self.path, str(self.headers), body, status)
        with self.hub.changed:
            self.hub.seen.append(seen)
            self.hub.changed.notify_all()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        if status == 200 and self.path.startswith(f"{API}assignments?") and self.hub.header:
            document = self.hub.shows(int(self.headers["Ledger-Size"]))
            if document is not None:
                text = urlsafe_b64encode(canonical_json(document)).decode()
                self.send_header("Ledger-Checkpoint", text)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = _serve  # noqa: N815 (names given by http.server)

    def _judge(self, body: bytes) -> tuple[int, bytes]:
        path, _, query = self.path.removeprefix(API).partition("?")
        parts = path.split("/")
        name = f"{self.command} {parts[2] if len(parts) > 2 else parts[0]}"
        if parts[0] == "ledger":
            name = f"{self.command} checkpoint"
        if name in self.hub.fail_with:
            return self.hub.fail_with[name], b'{"error": "as the test wants it"}'
        if name == "POST enrol":
            return self._enrol(json.loads(body))
        try:
            verified = verify_request(
                method=self.command,
                url=self.path,
                headers=self.headers,
                body=body,
                resolve=lambda slug: self.hub.site_key if slug == self.hub.slug else None,
                now=self.hub.now(),
                max_skew_seconds=60,
            )
        except RequestRefused as error:
            return 401, json.dumps({"error": str(error)}).encode()
        if verified.nonce in self.hub.nonces:
            return 401, b'{"error": "replayed"}'
        self.hub.nonces.add(verified.nonce)
        return getattr(self, "_" + name.lower().replace(" ", "_"))(parts, query, body)

    def _enrol(self, asked: dict[str, str]) -> tuple[int, bytes]:
        if asked["token"] not in self.hub.tokens:
            return 403, b'{"error": "this token is unknown, used or expired"}'
        proof = b"cloister-enrol-v1\n" + asked["token"].encode()
        verify(asked["public_key"], proof, b64decode(asked["proof"]))
        self.hub.tokens.remove(asked["token"])
        self.hub.site_key = asked["public_key"]
        return 200, json.dumps(self._who()).encode()

    def _who(self) -> dict[str, str]:
        return {
            "institution": self.hub.slug,
            "name": "North Hospital",
            "hub_key": self.hub.key.public,
            "hub_time": self.hub.now().isoformat(),
        }

    def _get_hello(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        return 200, json.dumps(self._who() | {"last_seen": None}).encode()

    def _put_offer(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        self.hub.offers.append(open_envelope(body, self.hub.site_key, Offer))
        return 204, b""

    def _get_assignments(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        def waiting() -> list[Task]:
            return [task for task in self.hub.tasks.values() if task.open]

        with self.hub.changed:
            self.hub.changed.wait_for(waiting, float(query.removeprefix("wait=")))
        found = waiting()
        if found:
            self.hub.ledger.append(found[0].envelope)
        return (200, found[0].envelope) if found else (204, b"")

    def _get_checkpoint(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        document = self.hub.shows(int(query.removeprefix("from=")))
        if document is None:
            return 404, b'{"error": "no such address"}'
        return 200, canonical_json(document)

    def _put_journal(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        statement = open_envelope(body, self.hub.site_key, Statement)
        self.hub.statements.append(statement)
        for row in statement.entries:
            if row["sequence"] == len(self.hub.journal) + 1:
                self.hub.journal.append(row)
        return 200, json.dumps({"sequence": len(self.hub.journal)}).encode()

    def _get_model(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        return 200, self.hub.tasks[parts[1]].model

    def _get_protocols(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        found = self.hub.approvals.get(parts[1])
        return (200, found) if found else (404, b'{"error": "unknown protocol"}')

    def _post_progress(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        task = self.hub.tasks[parts[1]]
        task.progress.append(json.loads(body))
        return (409, b'{"error": "closed"}') if task.closed else (204, b"")

    def _put_tensors(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        self.hub.tasks[parts[1]].tensors.append(body)
        return 204, b""

    def _put_contribution(self, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        task = self.hub.tasks[parts[1]]
        if task.closed:
            return 409, b'{"error": "this round is closed"}'
        task.answers.append(body)
        return 200, b'{"accepted": true, "reason": ""}'
