"""What the site asks of the hub: requests that carry no data of ours."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from federation.site.transport.client import Answer, Client, RequestRejected

MODEL_LIMIT = 2**30
WAIT_SECONDS = 20


LEDGER_SIZE, LEDGER_CHECKPOINT = "Ledger-Size", "Ledger-Checkpoint"


@dataclass(frozen=True)
class Delivery:
    """An assignment's envelope, and the ledger's checkpoint with its proof (JSON) beside it.

    `ledger` is empty where none came: a proxy may have dropped the header, so it is asked for.
    """

    envelope: bytes
    ledger: str = ""


class Receiving:
    """The receiving side of the site API; all errors are those of `Client.request`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def hello(self) -> dict[str, Any]:
        """Who the hub thinks we are, its key and its time."""
        return self._client.request("GET", "hello", seconds=10).json()

    def assignment(self, wait: int, ledger_size: int = 0) -> Delivery | None:
        """The oldest unanswered assignment; None when `wait` seconds brought none.

        The hub is told how much of its ledger was seen, and proves with the assignment that this
        still stands.
        """
        answer = self._client.request(
            "GET",
            f"assignments?wait={wait}",
            headers={LEDGER_SIZE: str(ledger_size)},
            seconds=wait + 15,
            idle=True,
        )
        return Delivery(answer.body, _ledger(answer)) if answer.status == 200 else None

    def ledger(self, size: int) -> str | None:
        """The ledger's checkpoint, with the proof that it extends the first `size` entries (JSON).

        None when the hub shows none, for whatever reason: nothing stands for what it does not say.
        """
        try:
            body = self._client.request("GET", f"ledger/checkpoint?from={size}").body
        except RequestRejected:
            return None
        return body.decode("utf-8", "replace")

    def model(self, assignment: str) -> bytes:
        """The tensors that an assignment starts from, as safetensors."""
        path = f"assignments/{assignment}/model"
        return self._client.request("GET", path, seconds=60, limit=MODEL_LIMIT).body

    def protocol(self, digest: str, study: str) -> bytes | None:
        """The hub's signed statement of an approved protocol; None when it knows none.

        Two studies may run the same document, so the study is named as well.
        """
        try:
            path = f"protocols/{digest}?study={study}"
            return self._client.request("GET", path, limit=2**24).body
        except RequestRejected as error:
            if error.status == 404:
                return None
            raise


def _ledger(answer: Answer) -> str:
    """The checkpoint of the header; empty where it is missing or damaged on its way."""
    try:
        text = answer.headers.get(LEDGER_CHECKPOINT, "")
        return base64.urlsafe_b64decode(text.encode()).decode()
    except (binascii.Error, ValueError):
        return ""
