"""Small true things that the accounting tests are about."""

from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.selectors import spending
from accounting.services import budgets, ledger
from accounting.services.ledger import Key, Limit, Reservation
from studies.models import Institution
from tests.accounting import moves

PROTOCOL = "a" * 64
LIMIT = Limit(2.0, 1e-3)
TRAIN = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 2.0, 0.1, 8, 0.5, 30.0, unit="patient")
EVALUATE = PrivacyEvent(Mechanism.GAUSSIAN, 8.0, 1.0, 1, 1.0, unit="patient")


def events_of(study: str | None, institution: str, lineage: str | None = None):
    """Every event that counts as spent, whole, one for each row that spends, in ledger order."""
    rows = spending.counted(spending.reservations(study, institution, lineage))
    return tuple(spending.event_of(row) for row in rows)


def institution(slug: str) -> Institution:
    found, _ = Institution.objects.get_or_create(slug=slug, defaults={"name": slug.title()})
    return found


def lend(slug: str, lineage: str = "heart", epsilon: str = "3.0", delta: str = "0.001"):
    from_offer = {"name": lineage, "lineage": lineage, "epsilon": epsilon, "delta": delta}
    return budgets.declare(institution(slug), [from_offer])[0]


def key(slug="cleveland", number=1, attempt=1, phase="train", study="heart", lineage="heart"):
    return Key(study, slug, lineage, number, attempt, phase)


def reservation(where: Key, event=TRAIN, limit=LIMIT, protocol=PROTOCOL) -> Reservation:
    return Reservation(where, event, protocol, limit)


def reserve(where: Key, event=TRAIN, limit=LIMIT, protocol=PROTOCOL):
    return ledger.reserve_all([reservation(where, event, limit, protocol)])[0]


def seal(slug="cleveland", rounds=4, event=TRAIN, limit=LIMIT, study="heart", protocol=PROTOCOL):
    return ledger.seal(
        study=study,
        institution=slug,
        lineage="heart",
        plan_events=[event] * rounds,
        protocol_digest=protocol,
        unit="patient",
        study_limit=limit,
    )


def whole_round(where: Key, event=TRAIN) -> None:
    """One mechanism from reservation to acknowledgement."""
    reserve(where, event)
    moves.charge(where, journal={"sequence": where.round, "digest": "b" * 64})
    moves.release(where, "c" * 64)
    moves.acknowledge(where, "d" * 64)
