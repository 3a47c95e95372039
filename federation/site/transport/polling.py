"""Waiting for work: long polls, and patience while the hub is away."""

import secrets
import time
from collections.abc import Callable

import structlog

from federation.site.transport.client import AccessRefused, HubAbsent, RequestRejected
from federation.site.transport.receiving import WAIT_SECONDS, Delivery, Receiving

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 15.0
REFUSED_SECONDS = 30.0
SLICE_SECONDS = 0.2

log = structlog.get_logger()


class Polling:
    """Fetches assignments one by one; no absence of the hub needs a person.

    `arrived` runs at the first contact and after every absence (it sends the offer). `between`
    runs before every further poll and says how many seconds that one may wait. `seen` is how many
    entries of the hub's ledger this site has seen.
    """

    def __init__(
        self,
        receiving: Receiving,
        arrived: Callable[[], None],
        *,
        between: Callable[[], int] = lambda: WAIT_SECONDS,
        seen: Callable[[], int] = lambda: 0,
    ) -> None:
        self._receiving = receiving
        self._arrived = arrived
        self._between = between
        self._seen = seen
        self._in_touch = False
        self._failures = 0
        self._said = ""
        self._unanswered = 0
        self.stopping = False

    def stop(self) -> None:
        """Ask every wait to end; safe in a signal handler."""
        self.stopping = True

    def next(self) -> Delivery | None:
        """The next assignment, or None when this wait brought nothing."""
        try:
            if self._in_touch:
                return self._receiving.assignment(self._between(), self._seen())
            return self._first()
        except HubAbsent as error:
            self._away("hub_absent", str(error))
            self._sleep(max(error.retry_after, self._backoff()))
        except (AccessRefused, RequestRejected) as error:
            self._away("hub_refuses_this_site", str(error))
            self._sleep(_jittered(REFUSED_SECONDS))
        return None

    def _first(self) -> Delivery | None:
        """The first poll returns at once: only after it is the hub known to work again."""
        self._arrived()
        delivery = self._receiving.assignment(0, self._seen())
        log.info("hub_reached", after_failures=self._failures)
        self._in_touch = True
        self._failures = 0
        self._said = ""
        return delivery

    def answered(self, done: bool) -> None:
        """After each assignment: one that stays unanswered comes again at once, so wait for it."""
        self._unanswered = 0 if done else self._unanswered + 1
        if not done:
            self._sleep(_growing(self._unanswered))

    def _away(self, event: str, why: str) -> None:
        """One line for each absence, not one for each try."""
        self._in_touch = False
        if self._said != event + why and not self.stopping:
            advice = _ADVICE[event]
            log.warning(event, why=why, advice=advice)
            self._said = event + why

    def _backoff(self) -> float:
        self._failures += 1
        return _growing(self._failures)

    def _sleep(self, seconds: float) -> None:
        """In slices, because a signal handler may only set a flag."""
        end = time.monotonic() + seconds
        while not self.stopping and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))


_ADVICE = {
    "hub_absent": "nothing to do: this worker keeps trying",
    "hub_refuses_this_site": "run `python -m federation.site check`; ask the hub whether this "
    "site's key was revoked",
}


def _growing(failures: int) -> float:
    return _jittered(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(failures - 1, 10)))


def _jittered(seconds: float) -> float:
    """Half to all of `seconds`, so that many sites do not return in step."""
    return seconds * (0.5 + secrets.randbelow(500) / 1000)
