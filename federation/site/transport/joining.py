"""The one unsigned request: enrolment, sent before the hub knows our key or we lend any data."""

import json
from pathlib import Path
from typing import Any

from federation.site.transport.client import Client, unsigned


def join(
    url: str,
    *,
    token: str,
    public_key: str,
    proof: str,
    software: str,
    proxy: str | None = None,
    ca_file: Path | None = None,
) -> dict[str, Any]:
    """Redeem an enrolment token. All errors are those of `Client.request`."""
    client = Client(url, unsigned, proxy=proxy, ca_file=ca_file)
    body = {"token": token, "public_key": public_key, "proof": proof, "software": software}
    try:
        return client.request("POST", "enrol", json.dumps(body).encode()).json()
    finally:
        client.close()
