"""Verifying the ledger: chain, tree, signatures, transitions, budgets and every ε, from nothing.

A consistent chain can still record nonsense, so the accountant is replayed: whoever changes an ε
and hashes everything again is found out all the same. A consistent history may replace another;
the signed checkpoints tell, and the sites hold the same ones. One pass, a few rows in memory.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from accounting.log.checkpoints import CheckpointError
from accounting.models import DatasetBudget, EntryKind, LedgerCheckpoint, LedgerHead
from accounting.selectors import tree
from accounting.selectors.histories import price_of
from accounting.services import sums
from accounting.services.chain import Chain, Row, stored
from accounting.services.hub_key import hub_key
from accounting.services.replay import Replay, Wrong
from accounting.services.rows import joined
from accounting.services.snapshot import snapshot
from federation.protocol import keys


@dataclass(frozen=True)
class Verdict:
    """`first_wrong` is the sequence of the first wrong row; None with a problem: not one row is.

    `entries` are sound, with the Merkle root `root`; `checkpoint` is the size of the last signed
    checkpoint that agrees, None where there is none.
    """

    ok: bool
    entries: int
    head: str
    first_wrong: int | None = None
    problem: str = ""
    root: str = ""
    checkpoint: int | None = None

    def sentence(self) -> str:
        """One clear sentence for people."""
        if self.ok:
            signed = "" if self.checkpoint is None else f", signed up to entry {self.checkpoint}"
            return (
                f"ledger verified: {self.entries} entries, head {self.head[:12]}, "
                f"root {self.root[:12]}{signed}; every digest, signature, "
                "transition, budget and ε was derived again and agrees"
            )
        if self.first_wrong is None:
            return f"ledger broken: {self.problem}"
        return f"ledger broken at entry {self.first_wrong}: {self.problem}"

    def about(self) -> dict[str, Any]:
        """What an event about it keeps: enough to tell later which entries were meant."""
        found: dict[str, Any] = {"entries": self.entries, "head": self.head, "root": self.root}
        return (
            found
            if self.ok
            else found | {"reason": self.sentence(), "first_wrong": self.first_wrong}
        )

    def to_json(self) -> dict[str, Any]:
        """The verdict with its sentence."""
        return asdict(self) | {"sentence": self.sentence()}


def verify(public: str = "") -> Verdict:
    """Read the whole ledger once, in order, and judge it. Writes nothing.

    `public` is the hub's key (64 hex digits), its own by default: it signed the checkpoints.
    """
    with snapshot():
        return judge(stored(), LedgerCheckpoint.objects.order_by("size").iterator(), public)


def judge(
    rows: Iterable[Row], signed: Iterable[LedgerCheckpoint] = (), public: str = ""
) -> Verdict:
    """Judge `rows`, which must be the whole ledger in order, against checkpoints, head, budgets."""
    trial = _Trial(signed, public)
    try:
        trial.compare()
        for row in rows:
            trial.take(row)
        trial.end()
    except _Broken as broken:
        return trial.verdict(str(broken), broken.entry)
    return trial.verdict()


class _Broken(Exception):
    """What is wrong, and with which row if it is one row."""

    def __init__(self, problem: str, entry: int | None = None):
        super().__init__(problem)
        self.entry = entry


class _Trial:
    """One verification: `chain` holds the rows that are sound so far."""

    def __init__(self, signed: Iterable[LedgerCheckpoint], public: str) -> None:
        self.chain, self.replay = Chain(), Replay()
        self.signed, self.public = iter(signed), public
        self.next = next(self.signed, None)
        self.agreed: Chain | None = None  # at the last checkpoint that agrees

    def take(self, row: Row) -> None:
        """Judge the next row, and the checkpoint after it where there is one."""
        try:
            chain, body = self.chain.after(row)
            self.replay.step(body)
        except Wrong as wrong:
            raise _Broken(str(wrong), self.chain.size + 1) from wrong
        self.chain = chain
        self.compare()

    def compare(self) -> None:
        """Judge the checkpoint of the present size, if one was signed."""
        if self.next is None or self.next.size != self.chain.size:
            return
        self.public = self.public or hub_key().public
        before = self.agreed or Chain()
        try:
            _check_word(self.next, self.chain, before.size, self.public)
        except Wrong as wrong:
            self.chain = before
            raise _Broken(str(wrong)) from wrong
        self.agreed, self.next = self.chain, next(self.signed, None)

    def end(self) -> None:
        """Judge what stands beside the rows."""
        if self.next is not None:
            raise _Broken(
                f"a checkpoint of {self.next.size} entries was signed, the ledger has "
                f"{self.chain.size}: its end was cut"
            )
        try:
            _check_head(self.chain)
            _check_budgets(self.replay)
            _check_sums(self.replay)
        except Wrong as wrong:
            raise _Broken(str(wrong)) from wrong

    def verdict(self, problem: str = "", entry: int | None = None) -> Verdict:
        """What came out."""
        return Verdict(
            ok=not problem,
            entries=self.chain.size,
            head=self.chain.digest,
            first_wrong=entry,
            problem=problem,
            root=self.chain.tree.root().hex(),
            checkpoint=self.agreed.size if self.agreed else None,
        )


def _check_word(row: LedgerCheckpoint, chain: Chain, agreed: int, public: str) -> None:
    try:
        tree.word(row).verify(public, keys.verify)
    except CheckpointError as error:
        raise Wrong(f"the checkpoint of {row.size} entries is not the hub's: {error}") from error
    if row.root != chain.tree.root().hex():
        raise Wrong(
            f"entries {agreed + 1} to {row.size} are not those that were signed at {row.size}: "
            "the history was rewritten"
        )


def _check_head(chain: Chain) -> None:
    head = LedgerHead.objects.filter(pk=1).first() or LedgerHead()
    if head.size != chain.size:
        raise Wrong(
            f"the head says {head.size} entries, the ledger has {chain.size}: its end was cut"
        )
    if head.digest != chain.digest:
        raise Wrong("the head's digest is not that of the last entry")
    if head.frontier != joined(chain.tree.roots):
        raise Wrong("the head's Merkle subtrees are not those of the entries")


def _check_budgets(replay: Replay) -> None:
    rows = {(b.institution, b.lineage): b for b in DatasetBudget.objects.all()}
    for place in sorted(rows.keys() | replay.budgets.keys()):
        row, declared = rows.get(place), replay.budgets.get(place)
        found = (row.epsilon, row.delta) if row else None
        if found != declared:
            raise Wrong(
                f"the lifetime budget of {place[1]} at {place[0]} is {found}, but the ledger "
                f"declared {declared} (ε, δ)"
            )


def _check_sums(replay: Replay) -> None:
    """The running sums that the gate reads must be those of the rows, unit by unit."""
    left = _steps(replay)
    waiting = _waiting(replay)
    for where, (steps, waits) in sums.stored():
        left[where] -= steps
        waiting[where] -= waits
    for found, what in ((left, "spent"), (waiting, "reserved and has not begun")):
        for (house, lineage, study, *_), off in sorted(found.items()):
            if off:
                raise Wrong(
                    f"the running sum of what {study} {what} of {lineage} at {house} is off by "
                    f"{-off} steps: a table was changed behind the ledger's back"
                )


def _steps(replay: Replay) -> Counter[sums.Place]:
    return Counter(
        {
            (house, lineage, study, replay.units[house, lineage], *price): steps
            for (study, house, lineage), prices in replay.spent.steps.items()
            for price, steps in prices.items()
            if steps
        }
    )


def _waiting(replay: Replay) -> Counter[sums.Place]:
    found: Counter[sums.Place] = Counter()
    for (study, house, *key), state in replay.states.items():
        if state == EntryKind.RESERVED:
            what = replay.reserved[(study, house, *key)]
            where = (house, what.lineage, study, replay.units[house, what.lineage])
            found[(*where, *price_of(what.event))] += what.event.steps
    return found
