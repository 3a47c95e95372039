"""What the site asks of the hub: requests that carry no data of ours."""

from typing import Any

from federation.site.transport.client import Client, RequestRejected

MODEL_LIMIT = 2**30
WAIT_SECONDS = 20


class Receiving:
    """The receiving side of the site API; all errors are those of `Client.request`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def hello(self) -> dict[str, Any]:
        """Who the hub thinks we are, its key and its time."""
        return self._client.request("GET", "hello", seconds=10).json()

    def assignment(self, wait: int) -> bytes | None:
        """The oldest unanswered assignment's envelope; None when `wait` seconds brought none."""
        answer = self._client.request("GET", f"assignments?wait={wait}", seconds=wait + 15)
        return answer.body if answer.status == 200 else None

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
