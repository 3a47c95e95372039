"""Every assignment that a site declines, and what it says of it: a closed reason, no more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from structlog.testing import capture_logs

from federation.protocol.keys import SigningKey
from federation.protocol.messages import Contribution, Reason, Refusal, timestamp
from federation.site.assembly import Site
from federation.site.folder import Folder
from tests.site.conftest import CONFIG, Clock, model, patients, study
from tests.site.hub import Hub
from tests.site.playing import answer_of, kinds, play_one, refused


def test_a_forged_assignment_is_not_answered(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model(), key=SigningKey.generate())
    with capture_logs() as logs:
        assert not play_one(site, hub, uid)
    assert [entry["event"] for entry in logs] == ["assignment_ignored"]
    assert (hub.tasks[uid].answers, kinds(site)) == ([], [])


def test_a_tampered_assignment_is_not_answered(site: Site, hub: Hub) -> None:
    protocol = study()
    uid = hub.assign(protocol, model())
    task = hub.tasks[uid]
    task.envelope = task.envelope.replace(b'\\"round\\":1', b'\\"round\\":2')
    assert not play_one(site, hub, uid)
    assert task.answers == []


def past(**changes: object) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "issued_at": timestamp(now - timedelta(hours=2)),
        "expires_at": timestamp(now - timedelta(hours=1)),
    } | changes


@pytest.mark.parametrize(
    ("reason", "asked"),
    [
        (Reason.NOT_ADDRESSED, {"addressee": "south"}),
        (Reason.EXPIRED, past()),
        (Reason.NOT_APPROVED, {"phase": "evaluate"}),  # round 1 has none
        (Reason.NOT_APPROVED, {"phase": "steal"}),
        (Reason.LIMIT_ROUNDS, {"round": 4}),
        (Reason.MODEL_MISMATCH, {"model_digest": "0" * 64}),
    ],
)
def test_an_assignment_outside_the_protocol_is_refused(
    site: Site, hub: Hub, reason: Reason, asked: dict[str, object]
) -> None:
    protocol = study()
    hub.approve(protocol)
    answer = refused(site, hub, hub.assign(protocol, model(), **asked))
    assert (answer.reason, answer.accessed) == (reason, False)
    assert kinds(site) == ["refused", "acknowledged"]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (Reason.LIMIT_EPSILON, "max_epsilon_per_study = 0.5"),
        (Reason.LIMIT_NOISE, "min_noise_multiplier = 2.5"),
        (Reason.LIMIT_ROUNDS, "max_rounds = 2"),
        (Reason.LIMIT_ARCHITECTURE, 'architectures = ["mlp"]'),
        (Reason.LIMIT_COHORT, "min_cohort = 3"),
        (Reason.NOT_APPROVED, f'approved_protocols = ["{"0" * 64}"]'),
        (Reason.NOT_APPROVED, 'secure_aggregation = "required"'),
    ],
)
def test_the_sites_own_limits_bind_the_hub(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site], reason: Reason, line: str
) -> None:
    folder.config.write_text(CONFIG.replace("max_epsilon_per_study = 12.0", line))
    protocol = study()
    hub.approve(protocol)
    site = assembled(folder)
    answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (reason, False)


def test_a_listed_protocol_runs(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    protocol = study()
    folder.config.write_text(CONFIG + f'approved_protocols = ["{protocol.digest}"]\n')
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(assembled(folder), hub, uid)
    assert isinstance(hub.answer(uid, 0), Contribution)


def test_a_large_delta_makes_no_study_cheap(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    folder.config.write_text(CONFIG.replace("= 12.0", "= 4.0"))
    protocol = study(privacy={"noise_multiplier": 2.0, "target_delta": 0.5})
    hub.approve(protocol)
    answer = refused(assembled(folder), hub, hub.assign(protocol, model()))
    assert answer.reason == Reason.LIMIT_EPSILON


def test_the_lifetime_of_a_lineage_counts_every_study(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    folder.config.write_text(CONFIG.replace("lifetime_epsilon = 20.0", "lifetime_epsilon = 5.0"))
    protocol = study(evaluation={})
    site = assembled(folder)
    answers = []
    for number in range(6):
        name = f"study-{number}"
        hub.approve(protocol, study=name)
        uid = hub.assign(protocol, model(), study=name)
        assert play_one(site, hub, uid)
        answers.append(hub.answer(uid, 0))
    assert isinstance(answers[0], Contribution)
    assert isinstance(answers[-1], Refusal)
    assert (answers[-1].reason, answers[-1].accessed) == (Reason.LIMIT_LIFETIME, False)


def test_a_lineage_is_charged_for_one_privacy_unit_only(site: Site, hub: Hub) -> None:
    by_row = study(evaluation={})
    cohort = {"unit": "patient", "patient_column": "person", "max_rows_per_patient": 2}
    by_patient = study(data={**by_row.data.model_dump(), **cohort}, evaluation={})
    hub.approve(by_row)
    assert isinstance(answer_of(site, hub, by_row, 1), Contribution)
    hub.approve(by_patient, study="second")
    answer = refused(site, hub, hub.assign(by_patient, model(), study="second"))
    assert (answer.reason, answer.accessed) == (Reason.LIMIT_LIFETIME, False)
    assert kinds(site).count("charged") == 1


def test_repeated_attempts_count_against_the_study(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    folder.config.write_text(CONFIG.replace("= 12.0", "= 6.0").replace("= 20.0", "= 900.0"))
    protocol = study(evaluation={})
    hub.approve(protocol)
    site = assembled(folder)
    reasons = []
    for attempt in range(1, 12):
        uid = hub.assign(protocol, model(), attempt=attempt)
        assert play_one(site, hub, uid)
        reasons.append(getattr(hub.answer(uid, 0), "reason", None))
    assert reasons[0] is None
    assert reasons[-1] == Reason.LIMIT_EPSILON


def test_another_message_for_the_same_round_is_a_replay(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    first = hub.assign(protocol, model())
    assert play_one(site, hub, first)
    stored = hub.tasks[first].answers[0]
    again = refused(site, hub, hub.assign(protocol, model()))
    charge = next(entry for entry in site.parts.journal.entries() if entry.kind == "charged")
    assert (again.reason, again.accessed) == (Reason.REPLAYED, True)
    assert again.charge == {"sequence": charge.sequence, "digest": charge.digest}
    assert site.parts.outbox.find(first).envelope == stored
    same_id = hub.assign(protocol, model(), assignment=first, round=2)
    assert refused(site, hub, same_id).reason == Reason.REPLAYED
    assert kinds(site).count("charged") == 1
    assert site.parts.outbox.find(first).envelope == stored


def test_an_unknown_protocol_is_refused(site: Site, hub: Hub) -> None:
    assert refused(site, hub, hub.assign(study(), model())).reason == Reason.UNKNOWN_PROTOCOL


def test_an_approval_by_another_key_is_none(site: Site, hub: Hub) -> None:
    protocol = study()
    real, hub.key = hub.key, SigningKey.generate()
    hub.approve(protocol)
    hub.key = real
    assert refused(site, hub, hub.assign(protocol, model())).reason == Reason.UNKNOWN_PROTOCOL


@pytest.mark.parametrize("changes", [{"study": "other"}, {"institution": "south"}])
def test_an_approval_of_something_else_is_none(
    site: Site, hub: Hub, changes: dict[str, str]
) -> None:
    protocol = study()
    name = changes.pop("study", "heart-study")
    hub.approve(protocol, study=name, **changes)
    assert refused(site, hub, hub.assign(protocol, model())).reason == Reason.NOT_APPROVED


def test_a_protocol_that_leaves_us_out_is_not_approved(site: Site, hub: Hub) -> None:
    protocol = study(cohort=[{"institution": "south", "cohort_size": 9}])
    hub.approve(protocol)
    assert refused(site, hub, hub.assign(protocol, model())).reason == Reason.NOT_APPROVED


def test_a_study_follows_its_newest_approval(site: Site, hub: Hub) -> None:
    old, new = study(), study(name="Changed after approval")
    hub.approve(old)
    assert play_one(site, hub, hub.assign(old, model()))
    # The hub changes the protocol, but nobody approved it later than the one that runs.
    hub.approve(new, approved_at="2020-01-01T00:00:00Z")
    assert refused(site, hub, hub.assign(new, model(), round=2)).reason == Reason.NOT_APPROVED
    hub.approve(new)
    assert isinstance(answer_of(site, hub, new, 3), Contribution)
    assert refused(site, hub, hub.assign(old, model(), round=2)).reason == Reason.NOT_APPROVED


def test_a_dataset_that_is_not_lent_is_not_touched(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol, dataset="brain")
    answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.DATA_MISMATCH, False)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        (patients().replace("pressure", "druck"), "pressure"),
        (patients() + "733,120,none,1\n", "age"),
        (patients() + "nan,120,none,1\n", "age"),
        (patients() + "50,inf,none,1\n", "pressure"),
        (patients() + "50,120,agony,1\n", "pain"),
        (patients() + "50,120,none,7\n", "disease"),
        ("", "empty"),
        ("age,pressure,pain,disease\n", "empty"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_stay_charged(
    site: Site, hub: Hub, folder: Folder, text: str, column: str
) -> None:
    (folder.path / "heart.csv").write_text(text)
    protocol = study()
    hub.approve(protocol)
    with capture_logs() as logs:
        answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.DATA_MISMATCH, True)
    assert kinds(site) == ["charged", "refused", "acknowledged"]
    (why,) = [entry["why"] for entry in logs if entry["event"] == "assignment_refused"]
    assert column in why
    assert "733" not in why
    assert "agony" not in why


def test_a_model_of_another_shape_is_refused_before_the_charge(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    wrong = model() | {"weight": np.zeros((1, 5), np.float32)}
    answer = refused(site, hub, hub.assign(protocol, wrong))
    assert (answer.reason, answer.accessed) == (Reason.MODEL_MISMATCH, False)


def test_a_clock_that_runs_backwards_is_refused(site: Site, hub: Hub, clock: Clock) -> None:
    protocol = study()
    hub.approve(protocol)
    assert play_one(site, hub, hub.assign(protocol, model()))
    clock.offset = timedelta(seconds=-40)  # the hub still takes our signatures
    answer = refused(site, hub, hub.assign(protocol, model(), round=2))
    assert (answer.reason, answer.accessed) == (Reason.CLOCK, False)
    # The refusal itself was written with the wrong time: that must not move the mark back.
    assert refused(site, hub, hub.assign(protocol, model(), round=2)).reason == Reason.CLOCK
    clock.offset = timedelta(0)
    assert isinstance(answer_of(site, hub, protocol, 3), Contribution)


def test_a_dataset_keeps_the_lineage_that_was_approved(site: Site, hub: Hub) -> None:
    """Else the hub's ledger and this journal would charge different lifetime budgets."""
    protocol = study()
    hub.approve(protocol, lineage="another-lineage")
    answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.NOT_APPROVED, False)
