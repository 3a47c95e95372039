"""Assignments answered in one process: the happy path, the retry, and every refusal."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from structlog.testing import capture_logs

from accounting.dp.events import PrivacyEvent
from federation.protocol import plans
from federation.protocol.canonical import digest
from federation.protocol.keys import SigningKey
from federation.protocol.messages import Contribution, Reason, Refusal, timestamp
from federation.protocol.tensors import unpack
from federation.site.assembly import Site
from federation.site.folder import Folder
from federation.site.journal import Entry, JournalFull, Kind
from federation.site.worker import play
from tests.site.conftest import CONFIG, Clock, model, patients, study
from tests.site.hub import Hub


def kinds(site: Site) -> list[str]:
    return [entry.kind for entry in site.parts.journal.entries()]


def play_one(site: Site, hub: Hub, uid: str) -> bool:
    return play(site, hub.tasks[uid].envelope)


def refused(site: Site, hub: Hub, uid: str) -> Refusal:
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Refusal)
    assert hub.tasks[uid].tensors == []
    return answer


def test_a_round_is_charged_computed_released_and_acknowledged(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Contribution)
    assert kinds(site) == ["charged", "released", "acknowledged"]
    charge = next(site.parts.journal.entries())
    planned = plans.round_events(protocol, 1, "north")["train"]
    assert answer.privacy_events == (planned,)
    assert answer.journal == {"sequence": 1, "digest": charge.digest}
    assert charge.lineage == "heart-patients"
    update = unpack(hub.tasks[uid].tensors[0], model())
    assert answer.tensors_digest == digest(hub.tasks[uid].tensors[0])
    assert all(np.any(tensor != 0) for tensor in update.values())


def test_the_histogram_is_a_phase_with_its_own_price(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model(), round=3, phase="evaluate")
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Contribution)
    assert answer.privacy_events == (plans.round_events(protocol, 3, "north")["evaluate"],)
    like = {"histogram": np.zeros((10, 2), np.float32)}
    assert unpack(hub.tasks[uid].tensors[0], like)


def test_the_same_assignment_twice_gives_the_same_bytes_and_one_charge(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    first = assembled(folder)
    assert play_one(first, hub, uid)
    assert play_one(first, hub, uid)
    first.parts.journal.close()
    second = assembled(folder)  # after a restart, too
    assert play_one(second, hub, uid)
    task = hub.tasks[uid]
    assert len(task.answers) == 3
    assert len(set(task.answers)) == len(set(task.tensors)) == 1
    assert kinds(second) == ["charged", "released", "acknowledged"]


def test_two_rounds_draw_different_noise_and_read_the_file_once(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = study()
    hub.approve(protocol)
    first, second = (hub.assign(protocol, model(), round=number) for number in (1, 2))
    assert play_one(site, hub, first)
    monkeypatch.setattr("federation.site.datasets.read_split", None)
    assert play_one(site, hub, second)
    assert hub.tasks[first].tensors != hub.tasks[second].tensors
    assert kinds(site).count("charged") == 2


def test_a_changed_file_is_read_again(site: Site, hub: Hub, folder: Folder) -> None:
    protocol = study()
    hub.approve(protocol)
    assert play_one(site, hub, hub.assign(protocol, model()))
    (folder.path / "heart.csv").write_text(patients(20))
    assert play_one(site, hub, hub.assign(protocol, model(), round=2))
    (rows,) = site.parts.datasets._kept.values()
    assert rows.train.n_units + rows.holdout.n_units == 20


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
    assert (again.reason, again.accessed) == (Reason.REPLAYED, False)
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


def answer_of(site: Site, hub: Hub, protocol: object, number: int) -> Contribution | Refusal:
    uid = hub.assign(protocol, model(), round=number)
    assert play_one(site, hub, uid)
    return hub.answer(uid, 0)


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


def test_a_full_disk_computes_nothing_and_still_answers(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(entry: Entry) -> None:
        raise JournalFull("no space")

    monkeypatch.setattr(site.parts.journal, "_insert", full)
    monkeypatch.setattr(site.parts.outbox, "store", no_space)
    monkeypatch.setattr("federation.site.datasets.read_split", None)  # opening data would fail
    protocol = study()
    hub.approve(protocol)
    answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.JOURNAL_FULL, False)
    assert kinds(site) == []


def no_space(*arguments: object, **options: object) -> None:
    raise OSError(28, "No space left on device")


def test_an_answer_that_cannot_be_stored_does_not_leave(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.parts.outbox, "store", no_space)
    protocol = study()
    hub.approve(protocol)
    answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)


def test_the_text_of_a_failure_stays_inside(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("patient 4711 is missing")

    monkeypatch.setattr("federation.site.datasets.read_split", fail)
    protocol = study()
    hub.approve(protocol)
    with capture_logs() as logs:
        answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)
    assert "4711" not in str(logs)
    assert b"4711" not in hub.traffic()
    assert any(entry.get("kind") == "RuntimeError" for entry in logs)


def test_a_hub_that_goes_away_gets_the_stored_bytes_later(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    hub.fail_with["PUT contribution"] = 503
    assert not play_one(site, hub, uid)
    assert kinds(site) == ["charged", "released"]
    hub.fail_with.clear()
    assert play_one(site, hub, uid)
    first, second = hub.tasks[uid].tensors
    assert first == second
    assert kinds(site) == ["charged", "released", "acknowledged"]


@pytest.mark.parametrize(("status", "done"), [(409, True), (413, False)])
def test_a_rejected_answer_is_written_down(site: Site, hub: Hub, status: int, done: bool) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    hub.fail_with["PUT tensors"] = status
    assert play_one(site, hub, uid) is done
    last = list(site.parts.journal.entries())[-1]
    assert (last.kind, last.reason) == ("acknowledged", f"rejected {status}")


def test_released_bytes_that_are_gone_are_never_drawn_again(
    site: Site, hub: Hub, folder: Folder
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(site, hub, uid)
    for path in (folder.outbox / uid).iterdir():
        path.unlink()
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)
    assert len(hub.tasks[uid].tensors) == 1


def test_expired_answers_are_forgotten(
    folder: Folder, hub: Hub, clock: Clock, assembled: Callable[[Folder], Site]
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(assembled(folder), hub, uid)
    assert assembled(folder).parts.outbox.find(uid) is not None
    clock.offset = timedelta(hours=1)
    assert assembled(folder).parts.outbox.find(uid) is None


def test_a_closed_assignment_ends_the_training(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.site.egress.PROGRESS_SECONDS", 0.0)
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    hub.fail_with["POST progress"] = 409
    answer = refused(site, hub, uid)
    assert (answer.reason, answer.accessed) == (Reason.CANCELLED, True)


def test_progress_never_fails_a_round(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.site.egress.PROGRESS_SECONDS", 0.0)
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(site, hub, uid)
    assert hub.tasks[uid].progress == [{"step": k, "steps": 4} for k in (1, 2, 3, 4)]
    hub.fail_with["POST progress"] = 503
    assert isinstance(answer_of(site, hub, protocol, 2), Contribution)


def test_a_stop_in_the_middle_leaves_the_assignment_open(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    site.polling.stop()
    assert not play_one(site, hub, uid)
    assert kinds(site) == ["charged"]
    site.polling.stopping = False
    assert play_one(site, hub, uid)
    assert kinds(site) == ["charged", "released", "acknowledged"]


def test_the_offer_names_what_is_lent(site: Site, hub: Hub) -> None:
    site.parts.gate.offer(site.parts.config)
    (offer,) = hub.offers
    assert offer.datasets == [
        {"name": "heart", "lineage": "heart-patients", "epsilon": "20.0", "delta": "1e-05"}
    ]


def test_charges_are_never_fewer_than_releases(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    for number in (1, 2, 3):
        play_one(site, hub, hub.assign(protocol, model(), round=number))
    charged = site.parts.journal.charged_events(study="heart-study")
    assert charged == tuple(
        plans.round_events(protocol, number, "north")["train"] for number in (1, 2, 3)
    )
    assert all(isinstance(event, PrivacyEvent) for event in charged)
    assert kinds(site).count("charged") >= kinds(site).count("released")
    assert Kind.CHARGED in site.parts.journal.about(next(iter(hub.tasks)))
