"""Booking makes the hub count each charge of a site's journal: never one fewer, none twice."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from accounting.canonical import canonical_json
from accounting.contradictions import hub_side, site_side, uncounted, unlisted

EVENTS = ({"noise": "1"}, {"noise": "2"})
Row = dict[str, Any]


@dataclass
class Books:
    """Both sides' rows about one mechanism; whatever is told is booked at once."""

    hub: list[Row] = field(default_factory=list)
    site: list[Row] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)  # the site's rows that it has not told

    def charge(self, event: int = 0) -> str:
        digest = f"c{len(self.site) + len(self.waiting)}"
        row = {"kind": "charged", "digest": digest, "assignment": f"of {digest}"}
        row |= {"event": canonical_json(EVENTS[event]), "lineage": "l", "protocol_digest": "p"}
        self.waiting.append(row)
        return digest

    def release(self, charge: str) -> str:
        digest = f"r{len(self.site) + len(self.waiting)}"
        row = {"kind": "released", "digest": digest, "assignment": f"of {charge}"}
        self.waiting.append(row | {"tensors_digest": f"t of {charge}"})
        return digest

    def tell(self, most: int = 99) -> None:
        self.site += self.waiting[:most]
        del self.waiting[:most]
        self.book()

    def reserve(self) -> None:
        shared = {"event": EVENTS[0], "lineage": "l", "protocol_digest": "p"}
        self.hub += [{"kind": "reserved"} | shared, {"kind": "charged"}]

    def receive(self, charge: str) -> None:
        """The site's answer, which names its charge."""
        named = {"tensors_digest": f"t of {charge}", "journal": {"digest": charge}}
        self.hub.append({"kind": "released"} | named)
        self.book()

    def book(self) -> None:
        for owed in (uncounted, unlisted):
            rows = owed(hub_side(self.hub), site_side(self.site))
            self.hub += [
                {"kind": "booked", "journal": {"digest": row["digest"]}, "of": row} for row in rows
            ]

    def counted(self) -> Counter[str]:
        """How often the hub counts each event."""
        booked = [row["of"] for row in self.hub if row["kind"] == "booked"]
        own = [canonical_json(row["event"]) for row in self.hub if row["kind"] == "reserved"]
        return Counter(own + [row["event"] for row in booked if row["kind"] == "charged"])

    def listed(self) -> int:
        """How often the hub says that something left."""
        booked = [row["of"]["kind"] for row in self.hub if row["kind"] == "booked"]
        return (booked + [row["kind"] for row in self.hub]).count("released")

    def charged(self) -> Counter[str]:
        return Counter(row["event"] for row in self.site if row["kind"] == "charged")


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), st.integers(0, 1)),
        st.tuples(st.just("tell"), st.integers(1, 3)),
        st.tuples(st.just("reserve"), st.just(0)),
        st.tuples(st.just("receive"), st.integers(0, 9)),
    ),
    max_size=14,
)


@given(moves=MOVES)
def test_every_charge_that_was_told_counts_once(moves):
    books, made, named = Books(), [], False
    for move, value in moves:
        reserved = bool(books.hub) and any(row["kind"] == "reserved" for row in books.hub)
        if move == "charge":
            made.append(books.charge(value))
        elif move == "tell":
            books.tell(value)
        elif move == "reserve" and not reserved:
            books.reserve()
        elif move == "receive" and reserved and made and not named:
            books.receive(made[value % len(made)])
            named = True
        books.book()
        assert books.counted() >= books.charged()
    books.tell()
    before = list(books.hub)
    books.book()
    assert books.hub == before
    # The reservation stands for one of the charges, or for one that never came.
    free = any(row["kind"] == "reserved" for row in books.hub)
    assert books.charged() <= books.counted()
    assert books.counted().total() - books.charged().total() in (0, int(free))


def test_a_booked_charge_that_the_answer_names_is_not_counted_again():
    books = Books()
    books.reserve()
    first, second = books.charge(), books.charge()
    books.tell()
    books.release(second)
    books.receive(second)
    books.tell()
    assert books.counted() == books.charged()
    assert books.listed() == 1
    assert first != second


def test_a_place_that_is_reserved_again_counts_its_new_charge():
    """The hub was restored: what it booked of the first one does not use up the reservation."""
    books = Books()
    books.charge()
    books.tell()
    books.reserve()
    books.charge()
    books.tell()
    assert books.counted() == books.charged()


def test_another_release_under_a_booked_charge_is_listed():
    books = Books()
    books.reserve()
    first, second = books.charge(), books.charge()
    books.tell()
    books.receive(first)
    books.release(first)
    books.release(second)
    books.tell()
    assert books.listed() == 2
