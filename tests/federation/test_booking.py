"""What only a site's signed journal proves is booked: it counts in every sum, and for good."""

import json
from datetime import timedelta

import pytest

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.models import DatasetBudget, Differs, Entry, SiteDifference
from accounting.reports import build
from accounting.selectors import histories, spending
from accounting.selectors import reconciliation as books
from accounting.services import budgets, checkpoints, differences, reconciliation
from accounting.services.hub_key import hub_key
from accounting.services.replay import Replay, Wrong
from accounting.services.verification import verify
from accounting.verifier import cloister_verify
from federation.protocol import messages
from federation.protocol.canonical import digest
from federation.protocol.tensors import pack
from studies.models import Event, Person
from studies.services import studies
from tests.accounting import in_memory
from tests.federation.bookkeeping import Bookkeeper, found
from tests.federation.conftest import advance, kinds
from tests.federation.sums import sums
from tests.verifier import bundles

DELTA = 1e-3
BOOKED = "booked from the site's signed journal; it stays charged"


@pytest.fixture
def carla(db) -> Person:
    return Person.objects.create(username="carla")


def explained(by: Person) -> None:
    for row in SiteDifference.objects.filter(note__isnull=True):
        differences.explain(row, by=by, reason="the hub was restored from Monday's backup")


def of_journal(keeper: Bookkeeper) -> tuple[float, int]:
    """ε of all charges in the site's own journal, and how often something left."""
    rows = list(keeper.journal.entries())
    charged = [PrivacyEvent.from_json(json.loads(r.event)) for r in rows if r.kind == "charged"]
    return epsilon(charged, DELTA).epsilon, sum(r.kind == "released" for r in rows)


def listed(study) -> list[PrivacyEvent]:
    """What counts at Zurich, row by row."""
    rows = spending.counted(spending.reservations(study.slug, "zurich"))
    return [spending.event_of(row) for row in rows]


def loss(study) -> float:
    """What the ledger's sums say that the study spent at Zurich; its rows say the same."""
    summed = epsilon(histories.load(["zurich"]).study(study.slug, "zurich"), DELTA).epsilon
    assert summed == epsilon(listed(study), DELTA).epsilon
    return summed


def of_hub(study, keeper: Bookkeeper) -> tuple[float, int]:
    """The same from the hub's report of the house's part."""
    document = build.build(study, keeper.site.institution).document
    (part,) = document["parameters"]["institutions"]
    return float(part["spent"]["epsilon"]), len(document["releases"]["released"])


def at_the_strangers(tmp_path, capsys) -> tuple[int, str]:
    """What somebody says who has the bundle and the verifier, and trusts nobody."""
    checkpoints.issue()
    file = tmp_path / "bundle.json"
    file.write_text(in_memory.text(scope={"kind": "ledger"}, witnesses=books.witnesses()))
    code = cloister_verify.main([str(file), "--key", hub_key().public])
    return code, capsys.readouterr().out


def test_a_restored_hub_counts_what_its_sites_did(start, keepers, lead, carla, tmp_path, capsys):
    """Two rounds were charged and left; the hub remembers none of them, and begins again."""
    study, zurich = start(privacy={"epsilon_budget": 6.0}), keepers["zurich"]
    advance(study)
    zurich.elsewhere(study, left="c" * 64)
    zurich.elsewhere(study, left="d" * 64, round=2)
    zurich.tell()
    assert found() == [Differs.UNCHARGED] * 2
    assert of_hub(study, zurich)[0] >= of_journal(zurich)[0] > 0
    explained(carla)
    advance(study, later=61)  # the attempt that was open ends: Zurich's charge stays
    study.refresh_from_db()
    studies.resume(study, by=lead)
    for _ in range(2):
        advance(study)
    assert [r.attempt for r in study.rounds.order_by("id")] == [1, 2]
    for keeper in keepers.values():
        keeper.work()
        keeper.tell()
    advance(study)
    reconciliation.sweep()
    hub, site = of_hub(study, zurich), of_journal(zurich)
    assert hub[0] >= site[0] * (1 - 1e-9)
    assert hub[1] >= site[1] == 3
    (row,) = [row for row in sums(study.slug) if row.institution == "zurich" and row.hub > 1]
    assert row.agrees
    assert verify().ok, verify().sentence()
    code, said = at_the_strangers(tmp_path, capsys)
    assert code == 0, said
    told = build.build(study, zurich.site.institution).document["incidents"]
    assert BOOKED in [line["what"] for line in told]
    assert "booked from sites' journals" in said


def test_booking_again_books_nothing(study, zurich, carla):
    place = zurich.elsewhere(study, left="c" * 64, round=2)
    zurich.tell()
    rows = list(Entry.objects.filter(kind="booked"))
    assert [row.steps for row in rows] == [4, 0]
    body = json.loads(rows[0].body)
    assert body["journal"] == place
    assert len(body["evidence"]) == 64
    explained(carla)
    for _ in range(2):
        reconciliation.sweep()
        zurich.tell()
    assert Entry.objects.filter(kind="booked").count() == 2
    assert loss(study) > 0
    assert Event.objects.filter(kind="charge_booked").count() == 1


def test_what_left_is_booked_also_after_the_end(study, zurich, lead):
    """The attempt is refused as a replay, and the study is withdrawn before anybody compares."""
    charge = zurich.elsewhere(study, left="c" * 64)
    zurich.tell()
    answer = zurich.site.refusal(
        task := zurich.take(), messages.Reason.REPLAYED, accessed=True, charge=charge
    )
    zurich.site.answer(task, answer)
    study.refresh_from_db()
    studies.withdraw(study, by=lead, reason="enough")
    reconciliation.sweep()
    row = Entry.objects.get(kind="booked")
    assert (row.steps, json.loads(row.body)["tensors_digest"]) == (0, "c" * 64)
    assert verify().ok, verify().sentence()


def test_a_charge_that_was_given_back_is_booked(study, zurich):
    task = zurich.take()
    zurich.site.refuse(task, messages.Reason.CANCELLED, accessed=False)
    assert loss(study) == 0
    zurich.charge(task)
    zurich.tell()
    assert kinds(study, "zurich") == ["reserved", "charged", "aborted", "booked"]
    assert loss(study) == of_journal(zurich)[0]
    assert len(listed(study)) == 1
    assert verify().ok


def test_what_was_charged_twice_counts_twice(study, zurich, carla, tmp_path):
    task = zurich.take()
    zurich.charge(task)
    zurich.tell()
    once = loss(study)
    fresh = Bookkeeper.of(zurich.site, tmp_path, "anew")
    fresh.clock = timedelta(seconds=1)
    fresh.send(fresh.statement())
    explained(carla)
    fresh.charge(task)
    fresh.checkpoint = zurich.checkpoint
    fresh.clock = timedelta(seconds=5)
    fresh.tell()
    assert found() == [Differs.REPLACED, Differs.CHARGED_TWICE]
    assert kinds(study, "zurich") == ["reserved", "charged", "booked"]
    assert loss(study) > 1.3 * once
    assert verify().ok


def test_a_passed_budget_is_exhausted_and_says_so(study, zurich, carla):
    house = zurich.site.institution
    budgets.lower(house, "heart-1988", "0.7", by=carla, reason="a test")
    zurich.elsewhere(study, round=2)
    zurich.tell()
    left = spending.remaining("zurich", "heart-1988")
    assert left.figure.epsilon > float(DatasetBudget.objects.get(institution="zurich").epsilon)
    assert left.exhausted
    assert left.left == 0
    event = Event.objects.get(kind="budget_exhausted")
    assert (event.institution, event.payload["what"]) == (house, "dataset heart-1988")
    report = build.build(study, house).document
    assert "charge booked" in [line["what"] for line in report["incidents"]]


def test_what_cannot_be_composed_cannot_be_explained(study, zurich, carla):
    """Another unit has no common ε with what is spent: then the study stays held."""
    task = zurich.take()
    zurich.charge(task, event={"unit": "patient"}, lineage="heart-1988")
    zurich.tell()
    (row,) = SiteDifference.objects.all()
    with pytest.raises(differences.NotExplained, match="never composed"):
        differences.explain(row, by=carla, reason="we charged patients")
    assert kinds(study, "zurich") == ["reserved", "charged"]
    study.refresh_from_db()
    assert study.status == "paused"


def test_a_lineage_that_the_hub_forgot(study, zurich, carla):
    """Booked first, lent again later: its filter gets an order all the same."""
    zurich.charge(zurich.take(), lineage="lost-1990")
    zurich.tell()
    offer = [{"name": "lost", "lineage": "lost-1990", "epsilon": "5", "delta": "1e-3"}]
    (budget,) = budgets.declare(zurich.site.institution, offer)
    assert float(budget.filter_order) > 1
    assert spending.remaining("zurich", "lost-1990").figure.epsilon > 0
    assert verify().ok, verify().sentence()


def test_a_hub_that_leaves_a_booked_charge_out_is_caught(study, zurich, tmp_path, capsys):
    """All hashed and signed anew; but the site's own statement is in the bundle, too."""
    zurich.elsewhere(study, round=2)
    zurich.tell()
    checkpoints.issue()
    document = in_memory.document(scope={"kind": "ledger"}, witnesses=books.witnesses())
    bodies = [json.loads(row["body"]) for row in document["entries"]]
    kept = [body for body in bodies if body["kind"] != "booked"]
    file = tmp_path / "forged.json"
    for some, expected in ((bodies, 0), (kept, 1)):
        file.write_text(json.dumps(bundles.forged(document, some), separators=(",", ":")))
        assert cloister_verify.main([str(file), "--key", hub_key().public]) == expected
    assert "charged what nothing counts" in capsys.readouterr().out


def test_a_booked_row_says_what_it_is_about_or_is_wrong(study, zurich):
    """Verification plays it again: another figure, event or key is found."""
    zurich.elsewhere(study, round=2)
    zurich.tell()
    for old, new in (
        ('"steps":4', '"steps":3'),
        ('"evidence":"', '"evidence":"0'),
        ("/booked/", "/booked/0"),
    ):
        row = Entry.objects.get(kind="booked")
        assert old in row.body
        with pytest.raises(Wrong):
            replayed(row.body.replace(old, new))


def replayed(last: str) -> None:
    state = Replay()
    for row in Entry.objects.exclude(kind="booked").order_by("sequence"):
        state.step(json.loads(row.body))
    state.step(json.loads(last))


def test_two_charges_of_one_task_count_twice_also_after_the_answer(
    study, zurich, carla, tmp_path, capsys
):
    """The second journal's charge is booked, and then the site's answer names it."""
    task = zurich.take()
    zurich.charge(task)
    zurich.tell()
    fresh = Bookkeeper.of(zurich.site, tmp_path, "anew")
    fresh.clock = timedelta(seconds=1)
    fresh.send(fresh.statement())
    explained(carla)
    place = fresh.charge(task)
    fresh.checkpoint = zurich.checkpoint
    fresh.clock = timedelta(seconds=5)
    fresh.tell()
    explained(carla)
    data = pack(zurich.site.computed(task))
    fresh.release(task, digest(data))
    zurich.site.upload(task, data)
    answer = zurich.site.contribution(task, data, journal=place)
    assert zurich.site.answer(task, messages.sign(answer, zurich.site.key)).json()["accepted"]
    fresh.clock = timedelta(seconds=9)
    fresh.tell()
    reconciliation.sweep()
    assert kinds(study, "zurich") == ["reserved", "charged", "booked", "released"]
    assert len(listed(study)) == 2
    code, said = at_the_strangers(tmp_path, capsys)
    assert code == 0, said
