"""A kombu transport whose only queue is the hub's list of assignments for this site.

Delivery is stateless: the hub gives the oldest unanswered assignment, so there is nothing to
acknowledge, to restore or to publish. The prior art is kombu's SQS transport.
"""

import json
from queue import Empty
from typing import Any, NoReturn
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, virtual

from federation.protocol.canonical import digest
from federation.site.transport.polling import Polling
from federation.site.transport.receiving import Delivery

SCHEME = "cloister"
TASK = "round"


class Channel(virtual.Channel):
    """One queue, read by long polls; the Polling object comes by transport option."""

    supports_fanout = False
    do_restore = False
    from_transport_options: tuple[str, ...] = ("polling",)  # type: ignore[assignment]
    polling: Polling

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        delivery = None if self.polling.stopping else self.polling.next()
        if self.polling.stopping:
            raise TimeoutError  # back to Celery's loop, which looks at its own shutdown flag
        if delivery is None:
            raise Empty
        return celery_message(delivery, queue)

    def _put(self, queue: str, message: Any, **options: Any) -> NoReturn:
        raise NotImplementedError("a site publishes no tasks; answers leave by the egress gate")

    def _size(self, queue: str) -> int:
        return 0

    def _purge(self, queue: str) -> int:
        return 0

    def _new_queue(self, queue: str, **options: Any) -> None:
        """Queues are the hub's affair."""

    def _has_queue(self, queue: str, **options: Any) -> bool:
        return True


class Transport(virtual.Transport):
    """Never waits between two polls: the long poll itself is the wait."""

    Channel = Channel
    driver_type = driver_name = "http"
    polling_interval = 0

    def driver_version(self) -> str:
        """Version of the site API."""
        return "1"


def celery_message(delivery: Delivery, queue: str) -> dict[str, Any]:
    """One assignment as a Celery message (protocol 2) for the task `round`."""
    arguments = [[delivery.envelope.decode("utf-8", "replace"), delivery.ledger], {}, {}]
    name = digest(delivery.envelope)[:32]
    return {
        "body": json.dumps(arguments),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": TASK, "id": name, "root_id": name, "lang": "py", "retries": 0},
        "properties": {
            "delivery_tag": uuid4().hex,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "correlation_id": name,
        },
    }


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
