"""What a computation tells while it runs, step k of K at a fixed pace, and when it is to end.

How long a step takes depends on how many rows its batch drew, and timings are numbers too
(SECURITY, ACCOUNTING section 5). So a thread of its own tells the newest step at moments fixed when
the work began, whatever the steps do in between: of steps shorter than a beat it tells how many
there were. It does not hide the length of a longer one, which the beats show to about a beat, nor
how long the reading before the first step took; the report lists both as unprotected. The same
moments tell whether the hub has closed the assignment, also within a long step or a long read.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from federation.protocol.messages import Reason
from federation.site.refused import Refused

PACE_SECONDS = 1.0


class Abandoned(Exception):
    """This worker is asked to end; the assignment stays open and comes again."""


class Pulse:
    """Beats inside its `with` block, every `PACE_SECONDS` from its beginning; never outside.

    `tell(k)` sends that k steps are done and returns True when nobody waits for them any more;
    it runs in another thread, and nothing else may send until the block has ended.
    """

    def __init__(self, tell: Callable[[int], bool], stopping: Callable[[], bool]) -> None:
        self._tell = tell
        self._stopping = stopping
        self._step = 0
        self._closed = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def step_done(self, step: int) -> None:
        """Step k of K is public, because K is set by the protocol; it is told at the next beat."""
        self._step = step

    def asked(self) -> bool:
        """Raise, rather than say yes: what stopped the work decides what is answered."""
        if self._stopping():
            raise Abandoned
        self.check_wanted()
        return False

    def check_wanted(self) -> None:
        """Raise Refused when the hub has closed the assignment: then nothing needs to leave."""
        if self._closed:
            raise Refused(Reason.CANCELLED, "the hub has closed this assignment")

    def _beat(self) -> None:
        start = time.monotonic()
        # What a slow answer of the hub takes up is left out, so that the moments stay the same.
        while not self._over.wait(PACE_SECONDS - (time.monotonic() - start) % PACE_SECONDS):
            if self._tell(self._step):
                self._closed = True
                return
