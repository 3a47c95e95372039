"""What the site sends: only the egress gate may import this module."""

import json
from typing import Any

from federation.site.transport.client import Client


class Sending:
    """The sending side of the site API; all errors are those of `Client.request`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def offer(self, envelope: bytes) -> None:
        """What this site lends."""
        self._client.request("PUT", "offer", envelope)

    def statement(self, envelope: bytes) -> dict[str, Any]:
        """A signed part of this site's journal; where the hub's copy of it ends now."""
        return self._client.request("PUT", "journal", envelope, seconds=30).json()

    def progress(self, assignment: str, step: int, steps: int) -> None:
        """Step k of K, both public."""
        body = json.dumps({"step": step, "steps": steps}).encode()
        self._client.request("POST", f"assignments/{assignment}/progress", body, seconds=2)

    def tensors(self, assignment: str, data: bytes) -> None:
        """Upload safetensors bytes; the same bytes again are welcome."""
        self._client.request(
            "PUT",
            f"assignments/{assignment}/tensors",
            data,
            content_type="application/octet-stream",
            seconds=120,
        )

    def answer(self, assignment: str, envelope: bytes) -> dict[str, Any]:
        """Deliver a signed contribution or refusal; the hub's verdict."""
        path = f"assignments/{assignment}/contribution"
        return self._client.request("PUT", path, envelope, seconds=60).json()
