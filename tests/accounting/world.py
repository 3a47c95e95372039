"""A small federation: two hospitals, one study with a sealed plan, and its people."""

from dataclasses import dataclass

from accounting.services import ledger
from accounting.services.ledger import Limit
from federation.protocol.document import Protocol
from studies.models import Institution, Participation, Person, Role, Study
from studies.services import people
from tests.accounting import builders as b
from tests.accounting import moves

SITES = ("cleveland", "zurich")
PASSWORD = "correct horse battery"
BUDGET = Limit(1.2, 1e-3)


@dataclass
class World:
    study: Study
    lead: Person
    admin: Person
    officer: Person
    stranger: Person

    def institution(self, slug: str) -> Institution:
        return Institution.objects.get(slug=slug)


def protocol(name: str) -> Protocol:
    return Protocol.model_validate(
        {
            "name": name,
            "data": {
                "unit": "patient",
                "patient_column": "id",
                "max_rows_per_patient": 3,
                "columns": [{"name": "age", "low": 0, "high": 100}],
                "target": {"column": "num", "classes": [[0], [1]]},
            },
            "model": {"architecture": "logistic"},
            "training": {
                "sample_rate": 0.1,
                "local_steps": 8,
                "learning_rate": 1.0,
                "max_grad_norm": 0.5,
            },
            "privacy": {"target_epsilon": 1.2, "target_delta": 1e-3},
            "rounds": {"count": 4},
            "cohort": [{"institution": slug, "cohort_size": 300} for slug in SITES],
        }
    )


def person(name: str, role: Role | None = None, where: Institution | None = None) -> Person:
    found = Person.objects.create(username=name, first_name=name.title())
    if role:
        people.grant(found, role, where)
    return found


def build(slug: str = "heart", name: str = "Heart disease in two houses") -> World:
    """The study is sealed and running; nothing is spent yet."""
    houses = [b.institution(site) for site in SITES]
    lead = person("lena", Role.STUDY_LEAD)
    document = protocol(name)
    study = Study.objects.create(
        slug=slug,
        name=name,
        lead=lead,
        status="running",
        document=document.canonical().decode(),
        protocol_digest=document.digest,
    )
    for house in houses:
        b.lend(house.slug)
        Participation.objects.create(
            study=study, institution=house, status="approved", dataset="heart", lineage="heart"
        )
        b.seal(house.slug, limit=BUDGET, study=slug, protocol=document.digest)
    return World(
        study,
        lead,
        person("alex", Role.SITE_ADMIN, houses[0]),
        person("olga", Role.COMPLIANCE_OFFICER),
        person("stan"),
    )


def play(world: World, rounds: int = 3) -> None:
    """Whole rounds at both sites; Zurich does not answer in the last one."""
    for number in range(1, rounds + 1):
        keys = [b.key(site, number, study=world.study.slug) for site in SITES]
        ledger.reserve_all(
            [b.reservation(key, b.TRAIN, BUDGET, world.study.protocol_digest) for key in keys]
        )
        for key in keys[: 1 if number == rounds else 2]:
            moves.charge(key, journal={"sequence": number, "digest": "b" * 64})
            moves.release(key, "c" * 64)
            moves.acknowledge(key, "d" * 64)
    moves.lose(keys[1], "taken, and no answer before the deadline")
