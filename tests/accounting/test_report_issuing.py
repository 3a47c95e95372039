"""Issued reports: computed by a worker, signed by the hub and by people, kept for good."""

import base64
import json
import os
import subprocess
import sys
from datetime import date, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from accounting.log import merkle
from accounting.log.checkpoints import SignedCheckpoint
from accounting.models import Entry, IssuedReport, ReportRequest, ReportSignature
from accounting.reports import seals
from accounting.reports.build import NoSuchStudy, build
from accounting.reports.scopes import Scope
from accounting.services import reports
from accounting.services.hub_key import hub_key
from federation.protocol import keys
from federation.protocol.keys import BadSignature
from studies.models import Event, Person, Written
from tests.accounting import builders as b
from tests.accounting.world import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("officer_can_sign")]
HEART = Scope("heart")


def issue(world, scope=HEART, by="officer"):
    return reports.issue(scope, by and getattr(world, by), second_opinion=False)


def worked(row: ReportRequest) -> ReportRequest:
    while reports.advance(row.pk):
        pass
    row.refresh_from_db()
    return row


def test_an_issued_report_says_when_by_whom_and_instead_of_which(world):
    one, two = issue(world), issue(world, by=None)
    first, second = (json.loads(row.text)["report"] for row in (one, two))
    assert first["issued"]["by"] == "olga"
    assert first["supersedes"].startswith("nothing")
    assert second["issued"]["by"] == "the hub, on its schedule"
    assert second["supersedes"]["sha256"] == one.sha256
    assert (one.number, two.number) == (1, 2)
    assert two.supersedes == one
    assert one.superseded_by == two


def test_other_scopes_are_superseded_by_nothing(world):
    issue(world)
    other = issue(world, Scope(institution="cleveland"))
    assert (other.number, other.supersedes) == (1, None)


def test_the_text_is_the_preview_but_for_its_head(world):
    issued, preview = json.loads(issue(world).text), build(world.study).document
    assert issued.keys() == preview.keys()
    for name in issued.keys() - {"report", "integrity"}:
        assert issued[name] == preview[name]
    assert issued["integrity"]["ledger_head"] == preview["integrity"]["ledger_head"]


def test_it_is_bound_to_a_signed_checkpoint_and_to_the_report_before(world):
    first, second = (json.loads(issue(world).text)["integrity"] for _ in range(2))
    note = SignedCheckpoint.from_json(first["checkpoint"])
    note.verify(hub_key().public, keys.verify)
    assert note.checkpoint.size == Entry.objects.count()
    assert first["consistency"] is None
    assert second["consistency"] == {
        "from": note.checkpoint.size,
        "to": note.checkpoint.size,
        "proof": [],
    }


def test_its_last_entry_is_in_the_tree_that_the_hub_signed(world):
    one = issue(world)
    b.lend("zurich", "brains")
    bound = json.loads(issue(world).text)["integrity"]
    entry = Entry.objects.get(sequence=bound["ledger_head"]["entry"])
    root, proof = bytes.fromhex(bound["checkpoint"]["root"]), bound["inclusion"]["proof"]
    steps = [bytes.fromhex(step) for step in proof]
    leaf = merkle.leaf_hash(entry.body.encode())
    merkle.verify_inclusion(leaf, entry.sequence - 1, bound["inclusion"]["size"], steps, root)
    before = json.loads(one.text)["integrity"]["checkpoint"]
    merkle.verify_consistency(
        before["size"],
        bytes.fromhex(before["root"]),
        bound["consistency"]["to"],
        root,
        [bytes.fromhex(step) for step in bound["consistency"]["proof"]],
    )
    assert bound["consistency"]["to"] > before["size"]


def check(row: IssuedReport | ReportSignature, data: bytes) -> None:
    keys.verify(row.key, data, base64.b64decode(row.signature))


def test_the_hub_signs_the_digest(world):
    row = issue(world)
    assert row.key == hub_key().public
    check(row, seals.REPORT + row.sha256.encode())
    row.sha256 = "0" * 64
    with pytest.raises(BadSignature):
        check(row, seals.REPORT + row.sha256.encode())


def test_a_signature_of_one_kind_never_passes_for_another(world):
    row = issue(world)
    signature = reports.sign(row, by=world.officer, meaning="approved", password=PASSWORD)
    signature.text = row.sha256
    signature.signature = row.signature
    with pytest.raises(BadSignature):
        check(signature, seals.SIGNATURE + signature.text.encode())


def test_people_sign_with_a_meaning_and_their_password(world):
    row = issue(world)
    signature = reports.sign(row, by=world.officer, meaning="approved", password=PASSWORD)
    check(signature, seals.SIGNATURE + signature.text.encode())
    said = json.loads(signature.text)
    assert (said["report_sha256"], said["by"], said["meaning"]) == (row.sha256, "olga", "approved")
    event = Event.objects.get(kind="report_signed")
    assert (event.by, event.payload["meaning"]) == (world.officer, "approved")


@pytest.mark.parametrize(
    ("meaning", "password", "why"),
    [
        ("approved", "wrong", "password"),
        ("witnessed", PASSWORD, "one of"),
        ("reviewed", PASSWORD, "already"),
    ],
)
def test_what_is_no_signature(world, meaning, password, why):
    row = issue(world)
    reports.sign(row, by=world.officer, meaning="reviewed", password=PASSWORD)
    with pytest.raises(reports.NotSigned, match=why):
        reports.sign(row, by=world.officer, meaning=meaning, password=password)
    assert ReportSignature.objects.count() == 1


def test_a_superseded_report_keeps_its_signatures_and_takes_no_more(world):
    row = issue(world)
    reports.sign(row, by=world.officer, meaning="reviewed", password=PASSWORD)
    issue(world)
    with pytest.raises(reports.NotSigned, match="superseded"):
        reports.sign(row, by=world.officer, meaning="approved", password=PASSWORD)
    assert row.signatures.count() == 1


def test_the_bundle_holds_what_a_stranger_checks(world):
    row = issue(world)
    reports.sign(row, by=world.officer, meaning="responsible", password=PASSWORD)
    bundle = seals.bundled(row)
    assert (bundle["text"], bundle["sha256"]) == (row.text, row.sha256)
    hub, person = bundle["signatures"]
    assert (hub["text"], hub["context"]) == (row.sha256, "cloister-report-v1\n")
    assert json.loads(person["text"])["meaning"] == "responsible"


@pytest.mark.parametrize("model", [IssuedReport, ReportSignature])
@pytest.mark.parametrize("verb", ["UPDATE {table} SET id = id", "DELETE FROM {table}"])
def test_nothing_issued_or_signed_is_ever_changed(world, model, verb):
    row = issue(world)
    reports.sign(row, by=world.officer, meaning="reviewed", password=PASSWORD)
    with pytest.raises(Written):
        model.objects.first().delete()
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(verb.format(table=model._meta.db_table))


def test_no_two_reports_of_a_scope_have_one_number(world):
    row = issue(world)
    twin = IssuedReport(
        scope=row.scope, number=1, text="{}", sha256="1" * 64, at=row.at, key="", signature=""
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


def test_a_request_is_worked_on_in_steps_to_a_certified_report(world):
    row = reports.ask(HEART, world.officer)
    assert reports.advance(row.pk) is True
    row.refresh_from_db()
    assert (row.status, row.done, row.total) == ("computing", 1, 1)  # both spent the same
    done = worked(row)
    assert done.status == "issued"
    sites = json.loads(done.report.text)["parameters"]["institutions"]
    for site in sites:
        low, high = (float(site["certified"][end]) for end in ("low", "high"))
        assert low <= float(site["spent"]["epsilon"]) <= high
        assert high - low < 0.05
    assert reports.advance(row.pk) is False
    assert IssuedReport.objects.count() == 1


def test_asking_twice_joins_the_request_that_is_open(world):
    one, two = reports.ask(HEART, world.officer), reports.ask(HEART, world.officer)
    assert one == two
    reports.failed(one.pk, "no")
    assert reports.ask(HEART, world.officer) != one


def test_a_request_whose_worker_died_is_taken_up_again(world):
    row = reports.ask(HEART, world.officer)
    assert reports.unattended() == []
    assert reports.unattended(timezone.now() + timedelta(minutes=5)) == [row.pk]
    reports.failed(row.pk, "the disk is full")
    row.refresh_from_db()
    assert (row.status, row.reason) == ("failed", "the disk is full")
    assert reports.unattended(timezone.now() + timedelta(minutes=5)) == []


def test_a_study_that_is_not_there_has_no_report(world):
    with pytest.raises(NoSuchStudy):
        reports.issue(Scope("lungs"), second_opinion=False)


def test_the_web_process_may_ask_without_torch():
    code = (
        "import django, sys; django.setup(); import config.asgi, accounting.views.reports, "
        "accounting.tasks; sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_the_hub_worker_knows_the_tasks():
    code = (
        "import sys; from config.celery import app; app.loader.import_default_modules(); "
        "sys.exit(not {'accounting.issue_report', 'accounting.resume_reports'} <= set(app.tasks))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_reports_about_a_past_period_stay_the_same_after_it(world):
    today = timezone.now().date()
    scope = Scope("heart", until=today)
    assert json.loads(issue(world, scope).text)["report"]["scope"]["to"] == str(today)
    assert Scope.parse(IssuedReport.objects.get().scope) == scope
    assert scope.until == date.fromisoformat(scope.parameters["to"])


def test_somebody_without_a_password_cannot_sign(world):
    row = issue(world)
    with pytest.raises(reports.NotSigned, match="password"):
        reports.sign(row, by=Person.objects.get(username="alex"), meaning="approved", password="")
