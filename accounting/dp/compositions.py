"""Composing histories, and remembering what the next figure is likely to ask for again.

Safe for threads: what is shared is only looked up and put away under a lock; two threads that miss
the same thing compute it twice and get the same.
"""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, Protocol, TypeVar

from accounting.dp.lattices import Counts, Lattice
from accounting.dp.losses import Step, profile
from accounting.dp.spectra import Composed, Drawn, Spectrum, drawn, more, nothing, spectrum

_MOST_BYTES = 8 * 2**20  # of each of the three shelves


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


_Kept = TypeVar("_Kept", bound=_Sized)


class Shelf(Generic[_Kept]):
    """What was used last, up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        """Keep at most `most_bytes`, and at least the last thing."""
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> _Kept | None:
        """What lies under `key`, if it is still there."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: Hashable, thing: _Kept) -> None:
        """Put away, and drop what was used longest ago."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._bytes += thing.nbytes - (before.nbytes if before else 0)
            self._kept[key] = thing
            while self._bytes > self._most and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.nbytes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


_drawn: Shelf[Drawn] = Shelf(_MOST_BYTES)
_spectra: Shelf[Spectrum] = Shelf(_MOST_BYTES)
_composed: Shelf[Composed] = Shelf(_MOST_BYTES)


def forget() -> None:
    """Empty the shelves: for measurements and tests of what is computed from scratch."""
    _drawn.clear()
    _spectra.clear()
    _composed.clear()


def composed(counts: Counts, lattice: Lattice, before: Composed | None = None) -> Composed:
    """The transform of a merged history: from `before`, a part of it on the same lattice, or from
    the nearest known one that it grew out of."""
    known = dict(counts)
    kinds = sum(map(hash, known)) & _MASK
    found = before or _grown_from(known, kinds, lattice)
    missing = [step for step in known if found.counts.get(step, 0) < known[step]]
    for step in sorted(missing, key=lambda each: -known[each] * profile(each).variance):
        one = one_step(step, lattice, found.length, known[step])
        found = more(found, step, one, known[step])
    if missing:
        _composed.put((lattice, kinds), found)
    return found


_MASK = 2**64 - 1


def _grown_from(known: dict[Step, int], kinds: int, lattice: Lattice) -> Composed:
    """The composition of the same kinds of steps, or of all but one, with no more of any."""
    for key in (kinds, *((kinds - hash(step)) & _MASK for step in known)):
        found = _composed.get((lattice, key))
        if found and all(known.get(step, 0) >= had for step, had in found.counts.items()):
            return found
    return nothing(lattice)


def one_step(step: Step, lattice: Lattice, length: int, count: int) -> Spectrum:
    """The transform of one step at the first `length` frequencies that `count` of it leave."""
    found = _spectra.get((step, lattice))
    if found is None or found.length < length:
        found = spectrum(_one_drawn(step, lattice.interval), lattice.cells, length, count)
        _spectra.put((step, lattice), found)
    return found


def _one_drawn(step: Step, interval: float) -> Drawn:
    found = _drawn.get((step, interval))
    if found is None:
        found = drawn(step, interval)
        _drawn.put((step, interval), found)
    return found
