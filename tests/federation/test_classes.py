"""A study that plans by class of machine: each site by its own class, nobody by another's."""

import json

import pytest

from accounting.canonical import canonical_json
from accounting.models import Entry
from accounting.reports.build import build
from accounting.selectors import bundle, overview
from accounting.services import checkpoints
from accounting.services.hub_key import hub_key
from accounting.services.verification import verify
from accounting.verifier import cloister_verify
from config.launch import outcome
from federation.model_card import model_card
from federation.models import Assignment
from federation.protocol import messages, plans
from federation.protocol.document import Protocol
from federation.protocol.machines import class_at, own
from federation.protocol.study_file import parse, write
from federation.protocol.tensors import pack
from federation.selectors import live, models
from studies.selectors.protocols import protocol_of
from studies.services import institutions, participations, studies
from studies.services.errors import NotOffered, NotReady
from tests.federation.conftest import advance, approve, kinds, varied

CLASSES = {"small": {"local_steps": 1, "sample_rate": 0.25}, "large": {"local_steps": 8}}
BY_CLASS = {
    "training": {"classes": CLASSES},
    "privacy": {"target_delta": 1e-3, "target_epsilon": 5.0, "noise_multiplier": None},
}
MACHINES = {"budapest": "small", "cleveland": "large"}  # Zurich says nothing


def says(site, machine: str) -> None:
    """The site's next offer counts its machine so."""
    offer = site.institution.offer
    institutions.receive_offer(
        site.institution, {"datasets": offer["datasets"]} | machine_of(machine)
    )


def machine_of(name: str) -> dict[str, str]:
    return {"machine": name} if name else {}


@pytest.fixture
def declared(sites):
    for slug, machine in MACHINES.items():
        says(sites[slug], machine)
    return sites


@pytest.fixture
def running(declared, start):
    return advance(start(**BY_CLASS))


def play(study, sites, phases=3):
    for _ in range(phases):
        for site in sites.values():
            site.work()
        study = advance(study)
    return study


def asked(slug, phase="train"):
    """What the newest assignment of an institution says that its phase costs."""
    row = Assignment.objects.filter(institution__slug=slug, phase=phase).latest("id")
    envelope = json.loads(bytes(row.message))
    event = json.loads(envelope["message"])["parameters"]["event"]
    return event["steps"], float(event["sample_rate"]), float(event["batch_denominator"])


# The class is what the site says, and part of what is approved.


def test_the_lead_submits_what_the_sites_say(running):
    protocol = protocol_of(running)
    found = {member.institution: member.machine for member in protocol.cohort}
    assert found == {"budapest": "small", "cleveland": "large", "zurich": None}
    assert set(protocol.plan.classes) == {"small", "large"}


def test_a_study_that_does_not_plan_by_class_does_not_mention_them(declared, start):
    study = start()
    assert "machine" not in study.document
    assert '"classes":{' not in study.document


def test_of_a_site_that_said_nothing_yet_the_file_is_believed(sites, lead):
    institution = sites["zurich"].institution
    institution.offer = {}
    institution.save()
    cohort = [{"institution": "zurich", "cohort_size": 100, "machine": "large"}]
    protocol = Protocol.model_validate(varied(BY_CLASS | {"cohort": cohort}))
    study = studies.submit(studies.create(protocol=protocol, by=lead), by=lead)
    assert class_at(protocol_of(study), "zurich") == "large"


def test_another_class_than_the_submitted_is_not_approved(declared, lead):
    protocol = Protocol.model_validate(varied(BY_CLASS))
    study = studies.submit(studies.create(protocol=protocol, by=lead), by=lead)
    says(declared["budapest"], "large")
    part = study.participations.get(institution__slug="budapest")
    about = {"by": lead, "dataset": "heart"}
    with pytest.raises(NotOffered, match=r"counts its machine as large.*plans for small"):
        participations.approve(part, protocol_digest=study.protocol_digest, **about)
    before = study.protocol_digest
    again = parse(write(protocol_of(study))).protocol  # the same text, by the file
    studies.revise(study, again, by=lead)
    study.refresh_from_db()
    assert study.protocol_digest != before
    assert class_at(protocol_of(study), "budapest") == "large"
    part.refresh_from_db()
    participations.approve(part, protocol_digest=study.protocol_digest, **about)


def test_a_study_does_not_start_on_another_class_than_the_approved(declared, lead):
    protocol = Protocol.model_validate(varied(BY_CLASS))
    study = studies.submit(studies.create(protocol=protocol, by=lead), by=lead)
    approve(study, lead)
    says(declared["zurich"], "large")
    with pytest.raises(NotReady, match=r"Zurich now counts its machine as large.* no class;"):
        studies.start(study, by=lead)
    says(declared["zurich"], "")
    assert studies.start(study, by=lead).status == "running"


def test_a_changed_class_is_told_like_a_changed_offer(declared):
    house = declared["zurich"].institution
    told = house.events.filter(kind="offer_received").count()
    says(declared["zurich"], "")
    assert house.events.filter(kind="offer_received").count() == told
    says(declared["zurich"], "accelerated")
    assert house.events.filter(kind="offer_received").count() == told + 1


# Each site is asked, charged and judged by its own plan.


def test_each_site_is_asked_for_its_own_steps(running):
    assert asked("budapest") == (1, 0.25, 25.0)
    assert asked("cleveland") == (8, 0.5, 50.0)
    assert asked("zurich") == (4, 0.5, 50.0)


def test_each_site_spends_what_its_own_plan_says(running, declared):
    study = play(running, declared)
    assert study.status == "completed"
    protocol = protocol_of(study)
    houses = [site.institution for site in declared.values()]
    for loss in overview.losses(study, houses):
        planned = own(protocol, loss.institution.slug).plan.epsilon
        assert loss.claim.claimed.epsilon == pytest.approx(float(planned), rel=1e-9)
        assert 4.9 < float(planned) <= 5.0
    assert verify().ok


def test_with_one_noise_for_all_classes_differ_in_what_they_spend(declared, start):
    noise = {"noise_multiplier": 6.0, "target_delta": 1e-3}
    study = play(advance(start(training={"classes": CLASSES}, privacy=noise)), declared)
    assert study.status == "completed"
    protocol = protocol_of(study)
    houses = [site.institution for site in declared.values()]
    losses = {loss.institution.slug: loss for loss in overview.losses(study, houses)}
    spent = {slug: loss.claim.claimed.epsilon for slug, loss in losses.items()}
    assert spent["budapest"] < spent["zurich"] < spent["cleveland"]
    assert spent["cleveland"] == pytest.approx(protocol.costliest, rel=1e-9)
    own_plans = {slug: float(own(protocol, slug).plan.epsilon) for slug in losses}
    assert {slug: loss.budget for slug, loss in losses.items()} == own_plans
    assert max(own_plans.values()) == protocol.costliest
    assert verify().ok


def test_the_ledger_holds_each_site_to_its_own_epsilon(declared, start, tmp_path, capsys):
    """Sealed and reserved under it, shown, and judged alike by the stand-alone verifier."""
    noise = {"noise_multiplier": 6.0, "target_delta": 1e-3}
    study = play(advance(start(training={"classes": CLASSES}, privacy=noise)), declared)
    protocol = protocol_of(study)
    limits = {"sealed": {}, "reserved": {}}
    for row in Entry.objects.filter(study=study.slug, kind__in=limits):
        body = json.loads(row.body)
        limit = body["limit"]["epsilon"] if row.kind == "sealed" else body["checks"][0]["limit"]
        limits[row.kind][row.institution] = float(limit)
    own_plans = {site: float(own(protocol, site).plan.epsilon) for site in declared}
    assert limits == {"sealed": own_plans, "reserved": own_plans}
    told = build(study).document["parameters"]["institutions"]
    assert len({part["budget"] for part in told}) == 3
    agrees(study, tmp_path, capsys)
    end = outcome.measure(study, 1.0)
    summary, table = outcome.summary(end), outcome.table(end)
    assert summary["epsilon_budgets"] == own_plans
    assert summary["epsilon_budget"] == protocol.costliest
    assert all(0 <= left < 1e-9 for left in summary["remaining"].values())
    assert all(f"{budget:g} ({site})" in table for site, budget in own_plans.items())


def test_nobody_elses_ledger_changes(running, declared, start):
    """Zurich, of no class, is sealed and charged as in a study without any."""
    plain = advance(start(name="Plain", privacy=BY_CLASS["privacy"]))

    def bodies(study, slug):
        rows = Entry.objects.filter(study=study.slug, institution=slug, round=1)
        return [json.loads(row.body)["event"] for row in rows if row.kind == "reserved"]

    assert bodies(plain, "zurich") == bodies(running, "zurich")
    assert bodies(plain, "budapest") != bodies(running, "budapest")
    events = plans.plan_events(protocol_of(running), "zurich")
    assert events == plans.plan_events(protocol_of(plain), "zurich")


def test_a_contribution_by_the_plan_of_others_is_not_used(running, declared):
    site = declared["budapest"]
    task = site.take()
    data = pack(site.computed(task))
    site.upload(task, data)
    wrong = plans.round_events(protocol_of(running), 1, "zurich")["train"]
    message = site.contribution(task, data, events=(wrong.to_json(),))
    answer = site.answer(task, messages.sign(message, site.key)).json()
    assert answer["accepted"] is False
    assert "not the one that the protocol prescribes" in answer["reason"]
    assert kinds(running, "budapest")[-1] == "refused"


def test_report_and_verifier_agree(running, declared, tmp_path, capsys):
    agrees(play(running, declared), tmp_path, capsys)


def agrees(study, tmp_path, capsys):
    report, ledger = tmp_path / "report.json", tmp_path / "bundle.json"
    report.write_text(canonical_json(build(study).document))
    checkpoints.issue()
    ledger.write_text("".join(bundle.pieces(scope={"kind": "ledger"})))
    key = hub_key().public
    code = cloister_verify.main([str(ledger), "--key", key, "--report", str(report)])
    assert code == 0, capsys.readouterr().out


# Slow sites are named.


def test_the_live_page_names_the_class_of_who_is_waited_for(running, declared):
    for slug in ("cleveland", "zurich"):
        declared[slug].work()
    (cell,) = live.holding_up(running)
    assert (cell.name, cell.machine, cell.steps) == ("Budapest", "small", 1)
    assert {cell.machine for cell in live.current(running).sites} == {"small", "large", ""}


def test_a_slow_site_is_waited_for_and_not_dropped(running, declared):
    for slug in ("cleveland", "zurich"):
        declared[slug].work()
    study = advance(running, later=30)
    assert study.status == "running"
    declared["budapest"].work()
    advance(study)
    assert models.checkpoints(study)[1].contributors == ("budapest", "cleveland", "zurich")


def test_the_card_says_who_trained_how(running, declared):
    study = play(running, declared)
    text = model_card(study, models.latest(study))
    assert "- budapest (machine class small): 1 local step a round, sample rate 0.25" in text
    assert "- cleveland (machine class large): 8 local steps a round, sample rate 0.5" in text
    assert "zurich (machine class" not in text
