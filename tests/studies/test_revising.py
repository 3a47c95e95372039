"""A change after submission is a new digest: every approval is reopened and the change is shown."""

import hashlib

import pytest
from django.core.files.base import ContentFile

from federation.protocol.document import Protocol
from studies.models import Approval, Revision, Study
from studies.selectors import protocols
from studies.services import participations, studies
from studies.services.errors import (
    ChangedMeanwhile,
    NotOffered,
    ProtocolRefused,
    StaleApproval,
)
from studies.states import ParticipationStatus, StudyStatus
from tests.studies.conftest import approve_all
from tests.studies.protocols import cohort, small_protocol

TABLE = b"age,sick\n50,1\n"


def test_a_draft_keeps_every_version(draft, cast):
    studies.revise(draft, small_protocol(purpose="one"), by=cast.ada)
    studies.revise(draft, small_protocol(purpose="two"), by=cast.ada)
    rows = Revision.objects.filter(study=draft)
    assert [row.number for row in rows] == [1, 2, 3]
    assert rows.last().document == Study.objects.get().document
    assert rows.last().protocol_digest == draft.protocol_digest


def test_the_digest_is_that_of_the_stored_bytes(submitted):
    row = Study.objects.get()
    assert hashlib.sha256(row.document.encode()).hexdigest() == row.protocol_digest
    assert Protocol.model_validate_json(row.document).digest == row.protocol_digest


def test_submission_seals_the_plan_into_the_digest(draft, cast):
    before = draft.protocol_digest
    studies.submit(draft, by=cast.ada)
    plan = protocols.protocol_of(draft).plan
    assert plan.noise_multipliers == [2.0, 2.0]
    assert draft.protocol_digest != before


def test_a_plan_that_came_with_an_imported_file_is_not_believed(submitted, cast):
    sealed = protocols.protocol_of(submitted)
    forged = sealed.model_copy(update={"plan": sealed.plan.model_copy(update={"epsilon": "0.1"})})
    imported = studies.create(protocol=forged, by=cast.boris)
    assert protocols.protocol_of(imported).plan is None
    assert imported.slug == "heart-disease-2"


def test_a_revision_reopens_every_approval_and_keeps_the_old_rows(approved, cast):
    old = approved.protocol_digest
    studies.revise(approved, small_protocol(rounds={"count": 3}), by=cast.ada)
    assert approved.status == StudyStatus.SUBMITTED
    assert approved.protocol_digest != old
    rows = approved.participations.all()
    assert {row.status for row in rows} == {ParticipationStatus.INVITED}
    assert {(row.dataset, row.lineage) for row in rows} == {("", "")}
    assert [row.protocol_digest for row in Approval.objects.all()] == [old, old]


def test_an_approval_of_the_old_protocol_is_stale(submitted, part, cast):
    read = submitted.protocol_digest
    studies.revise(submitted, small_protocol(rounds={"count": 3}), by=cast.ada)
    for decide in (
        lambda row: participations.approve(
            row, by=cast.carla, dataset="heart", protocol_digest=read
        ),
        lambda row: participations.decline(row, by=cast.carla, protocol_digest=read),
    ):
        with pytest.raises(StaleApproval, match="decide again"):
            decide(part("cleveland"))
    assert not Approval.objects.exists()


def test_an_approval_names_a_dataset_that_the_site_lends(submitted, part, cast):
    row = part("cleveland")
    with pytest.raises(NotOffered, match="does not lend 'lungs'; it offers heart"):
        participations.approve(
            row, by=cast.carla, dataset="lungs", protocol_digest=submitted.protocol_digest
        )
    row.institution.offer = {}
    row.institution.save()
    with pytest.raises(NotOffered, match="start its site worker"):
        participations.approve(
            row, by=cast.carla, dataset="heart", protocol_digest=submitted.protocol_digest
        )
    assert part("cleveland").dataset == ""


def test_an_approval_remembers_the_lineage_that_it_charges(approved):
    row = approved.participations.first()
    assert (row.dataset, row.lineage) == ("heart", "heart-1988")
    assert row.approvals.get().protocol_digest == approved.protocol_digest


def test_the_difference_is_shown_field_by_field(approved, cast):
    studies.revise(approved, small_protocol(rounds={"count": 3}), by=cast.ada)
    row = approved.participations.first()
    changes = protocols.changes_since_decision(row)
    changed = {change.path: (change.before, change.after) for change in changes}
    assert changed["rounds.count"] == (2, 3)
    assert "name" not in changed


def test_who_never_decided_sees_no_difference(submitted, part):
    assert protocols.changes_since_decision(part("cleveland")) == []


def test_a_revision_that_changes_nothing_reopens_nothing(approved, cast):
    studies.revise(approved, small_protocol(), by=cast.ada)
    assert {row.status for row in approved.participations.all()} == {ParticipationStatus.APPROVED}
    assert not approved.events.filter(kind="study_revised").exists()


def test_a_newcomer_is_invited_and_who_never_decided_is_removed(submitted, part, cast):
    participations.decline(part("cleveland"), by=cast.carla)
    studies.revise(submitted, small_protocol(cohort=cohort("zurich")), by=cast.ada)
    found = {row.institution.slug: row.status for row in submitted.participations.all()}
    assert found == {"cleveland": "withdrawn", "zurich": "invited"}
    dropped = submitted.events.filter(kind="institution_dropped")
    assert sorted(event.institution.slug for event in dropped) == ["budapest", "cleveland"]


def test_who_left_may_be_asked_again(approved, cast):
    studies.revise(approved, small_protocol(cohort=cohort("cleveland")), by=cast.ada)
    studies.revise(approved, small_protocol(), by=cast.ada)
    found = {row.institution.slug: row.status for row in approved.participations.all()}
    assert found == {"budapest": "invited", "cleveland": "invited"}
    approve_all(approved, cast)
    assert studies.start(approved, by=cast.ada).status == StudyStatus.RUNNING


@pytest.mark.parametrize(
    ("sections", "advice"),
    [
        ({"cohort": []}, "cohort is empty"),
        ({"cohort": cohort("cleveland", "atlantis")}, "no institution is registered as atlantis"),
        ({"model": {"architecture": "oracle"}}, "model.architecture"),
        ({"model": {"parameters": {"depth": 3}}}, "depth"),
        ({"evaluation": {"public_digest": "0" * 64}}, "no file is attached"),
    ],
)
def test_what_cannot_be_submitted_stays_a_draft(sections, advice, cast):
    draft = studies.create(protocol=small_protocol(**sections), by=cast.ada)
    with pytest.raises(ProtocolRefused, match=advice):
        studies.submit(draft, by=cast.ada)
    row = Study.objects.get()
    assert (row.status, draft.status) == (StudyStatus.DRAFT, StudyStatus.DRAFT)
    assert row.revisions.count() == 1
    assert not row.participations.exists()


def test_a_bad_revision_leaves_the_approvals_alone(approved, cast):
    digest = approved.protocol_digest
    with pytest.raises(ProtocolRefused):
        studies.revise(approved, small_protocol(cohort=cohort("atlantis")), by=cast.ada)
    assert Study.objects.get().protocol_digest == digest
    assert {row.status for row in approved.participations.all()} == {ParticipationStatus.APPROVED}


def test_two_revisions_of_one_version_do_not_overwrite_each_other(draft, cast):
    stale = Study.objects.get()
    studies.revise(draft, small_protocol(purpose="mine"), by=cast.ada)
    with pytest.raises(ChangedMeanwhile, match="somebody else"):
        studies.revise(stale, small_protocol(purpose="theirs"), by=cast.ada)
    assert protocols.protocol_of(Study.objects.get()).purpose == "mine"


@pytest.fixture
def table(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return ContentFile(TABLE, "public.csv")


def test_the_public_file_is_named_by_its_digest(table, cast):
    study = studies.create(protocol=small_protocol(), by=cast.ada, public_evaluation=table)
    named = protocols.protocol_of(study).evaluation.public_digest
    assert named == hashlib.sha256(TABLE).hexdigest()
    with Study.objects.get().public_evaluation.open() as kept:
        assert kept.read() == TABLE
    assert studies.submit(study, by=cast.ada).status == StudyStatus.SUBMITTED


def test_another_file_than_the_named_one_is_refused(table, cast):
    other = small_protocol(evaluation={"public_digest": "0" * 64})
    with pytest.raises(ProtocolRefused, match="another one"):
        studies.create(protocol=other, by=cast.ada, public_evaluation=table)
    assert not Study.objects.exists()


def test_a_revision_that_names_no_file_forgets_it(table, cast):
    study = studies.create(protocol=small_protocol(), by=cast.ada, public_evaluation=table)
    same_file = protocols.protocol_of(study).model_copy(update={"purpose": "again"})
    studies.revise(study, same_file, by=cast.ada)
    assert Study.objects.get().public_evaluation
    studies.revise(study, small_protocol(), by=cast.ada)
    assert not Study.objects.get().public_evaluation
