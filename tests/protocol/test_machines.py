"""Classes of machine: each has its own plan and price, and changes nothing of anybody else's."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from accounting.dp.accountants import epsilon
from federation.protocol import plans
from federation.protocol.document import Protocol
from federation.protocol.machines import MACHINE_CLASSES, class_at, own
from federation.protocol.messages import MessageError, Offer
from federation.protocol.study_file import StudyFileError, example, parse, write
from tests.protocol import samples

SMALL = {"local_steps": 2}
LARGE = {"local_steps": 40, "sample_rate": 0.1}
COHORT = [
    {"institution": "north", "cohort_size": 300, "machine": "small"},
    {"institution": "south", "cohort_size": 300, "machine": "large"},
    {"institution": "west", "cohort_size": 300, "machine": "accelerated"},
    {"institution": "east", "cohort_size": 300},
]


def document(**classes: Any) -> dict[str, Any]:
    made = samples.protocol().model_dump(mode="json")
    made["training"]["classes"] = classes
    made["rounds"]["count"] = 3
    return made | {"cohort": COHORT}


def protocol(**classes: Any) -> Protocol:
    return Protocol.model_validate(document(**classes))


PLAIN = plans.seal(protocol())
SEALED = plans.seal(protocol(small=SMALL, large=LARGE))


# Digests.


def test_a_protocol_without_classes_is_written_as_before() -> None:
    """So an older approval still binds."""
    text = plans.seal(samples.protocol()).canonical()
    assert b'"classes":{' not in text
    assert b"machine" not in text


def test_classes_and_who_is_of_which_are_part_of_what_is_approved() -> None:
    other = protocol(small=SMALL, large=LARGE | {"local_steps": 41})
    moved = document(small=SMALL, large=LARGE) | {"cohort": COHORT[:-1]}
    moved["cohort"] = [*moved["cohort"], COHORT[-1] | {"machine": "small"}]
    digests = {SEALED.digest, plans.unsealed(SEALED).digest, PLAIN.digest, other.digest}
    assert len(digests | {Protocol.model_validate(moved).digest}) == 5


def test_the_sealed_document_reads_back_equal() -> None:
    assert Protocol.model_validate_json(SEALED.canonical()) == SEALED


# Plans.


def test_each_class_has_its_own_noise_for_the_same_target() -> None:
    for name in ("north", "south", "east"):
        here = own(SEALED, name)
        assert here.plan is not None
        figure = epsilon(plans.plan_events(SEALED, name), 1e-3)
        assert figure.epsilon == float(here.plan.epsilon)
        assert 0.99 < figure.epsilon <= 1.0
    noises = {own(SEALED, name).plan.noise_multipliers[0] for name in ("north", "south", "east")}
    assert len(noises) == 3


def test_nobody_elses_plan_changes() -> None:
    """Sites of no class, and of one that is not planned for, are charged as without any class."""
    for name in ("east", "west"):
        assert plans.plan_events(SEALED, name) == plans.plan_events(PLAIN, name)
    fewer = plans.seal(protocol(small=SMALL))
    assert plans.plan_events(fewer, "north") == plans.plan_events(SEALED, "north")
    assert plans.plan_events(fewer, "south") == plans.plan_events(PLAIN, "south")


def test_the_events_of_a_round_are_those_of_the_class() -> None:
    at = {name: plans.round_events(SEALED, 1, name)["train"] for name in ("north", "south", "east")}
    assert [(e.steps, e.sample_rate) for e in at.values()] == [(2, 0.5), (40, 0.1), (4, 0.5)]
    assert [e.batch_denominator for e in at.values()] == [150.0, 30.0, 150.0]
    assert plans.batch_denominator(SEALED, "south") == 30.0


def test_histograms_are_the_same_everywhere() -> None:
    assert SEALED.evaluates(3)
    found = {plans.round_events(SEALED, 3, name)["evaluate"] for name in ("north", "east")}
    assert len(found) == 1


def test_with_a_noise_multiplier_classes_differ_in_epsilon() -> None:
    made = document(small=SMALL, large=LARGE)
    made["privacy"] |= {"target_epsilon": None, "noise_multiplier": 4.0}
    sealed = plans.seal(Protocol.model_validate(made))
    costs = {name: float(own(sealed, name).plan.epsilon) for name in ("north", "south", "east")}
    assert costs["north"] < costs["east"]
    assert len({own(sealed, name).plan.noise_multipliers[0] for name in costs}) == 1
    assert {name: plans.epsilon_budget(sealed, name) for name in costs} == costs


def test_a_class_that_nobody_is_of_is_not_sealed_and_raises_no_budget() -> None:
    made = document(small=SMALL, standard={"local_steps": 1_000_000, "sample_rate": 1.0})
    made["privacy"] |= {"target_epsilon": None, "noise_multiplier": 4.0}
    sealed = plans.seal(Protocol.model_validate(made))
    assert set(sealed.plan.classes) == {"small"}
    assert plans.epsilon_budget(sealed, "east") == float(sealed.plan.epsilon)


def test_nobody_elses_class_changes_where_the_study_ends_at_a_site() -> None:
    made = document(small=SMALL, large=LARGE)
    made["privacy"] |= {"target_epsilon": None, "noise_multiplier": 4.0}
    plain = document()
    plain["privacy"] |= {"target_epsilon": None, "noise_multiplier": 4.0}
    with_others = plans.seal(Protocol.model_validate(made))
    without = plans.seal(Protocol.model_validate(plain))
    assert plans.epsilon_budget(with_others, "east") == plans.epsilon_budget(without, "east")
    own_site = own(with_others, "north")
    assert plans.epsilon_budget(own_site, "north") == plans.epsilon_budget(with_others, "north")
    declared = with_others.privacy.model_copy(update={"epsilon_budget": 9.0})
    capped = with_others.model_copy(update={"privacy": declared})
    assert {plans.epsilon_budget(capped, name) for name in ("north", "south", "east")} == {9.0}


def test_what_a_study_costs_most_is_what_its_own_sites_cost() -> None:
    """Where all are of a class, the plan of those who are of none counts for nobody."""
    made = document(small=SMALL)
    made["privacy"] |= {"target_epsilon": None, "noise_multiplier": 4.0}
    made["cohort"] = COHORT[:1]
    sealed = plans.seal(Protocol.model_validate(made))
    assert sealed.costliest == float(sealed.plan.classes["small"].epsilon)
    assert sealed.costliest < float(sealed.plan.epsilon)
    assert plans.unsealed(sealed).costliest is None


@given(st.sampled_from(["north", "south", "west", "east", "nowhere", None]))
def test_what_holds_at_one_site_holds_there_again(name: str | None) -> None:
    once = own(SEALED, name)
    assert own(once, name) == once
    assert once.cohort == SEALED.cohort
    assert (once == SEALED) == (class_at(SEALED, name) not in SEALED.training.classes)


# What cannot be.


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ({"small": {}}, "give sample_rate, local_steps or both"),
        ({"tiny": SMALL}, "'small', 'standard', 'large' or 'accelerated'"),
        ({"small": {"local_steps": 0}}, "greater than or equal to 1"),
        ({"small": SMALL | {"noise": 1}}, "Extra inputs"),
    ],
)
def test_wrong_classes_are_refused(classes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        protocol(**classes)


def test_no_adaptive_noise_and_no_audit_beside_them() -> None:
    made = document(small=SMALL)
    adaptive = {"least_noise": 1.0, "most_noise": 9.0}
    with pytest.raises(ValidationError, match="one noise for all"):
        Protocol.model_validate(made | {"privacy": made["privacy"] | {"adaptive": adaptive}})
    with pytest.raises(ValidationError, match="judged by one"):
        Protocol.model_validate(made | {"audit": {"canaries": 100}})


def test_a_plan_that_seals_other_classes_is_refused() -> None:
    made = SEALED.model_dump(mode="json")
    del made["plan"]["classes"]["small"]
    with pytest.raises(ValidationError, match="seals other classes"):
        Protocol.model_validate(made)


def test_a_target_out_of_reach_names_the_class() -> None:
    made = document(large={"local_steps": 1_000_000, "sample_rate": 1.0})
    made["privacy"]["target_epsilon"] = 0.22
    with pytest.raises(plans.NoPlan, match=r"^privacy\.target_epsilon.*training\.classes\.large"):
        plans.seal(Protocol.model_validate(made))


# Files and messages.


def in_file(text: str) -> str:
    return example().replace("# classes = { small = { local_steps = 2 } }", f"classes = {text}")


def test_a_study_file_reads_back() -> None:
    text = in_file("{ small = { local_steps = 2 }, large = { sample_rate = 0.25 } }")
    study = parse(text.replace('# machine = "small"', 'machine = "small"'))
    assert study.institutions[0].machine == "small"
    assert class_at(study.protocol, "cleveland") == "small"
    written = parse(write(study.protocol, study.institutions))
    assert written.protocol == study.protocol
    assert written.institutions[0].machine == "small"


@pytest.mark.parametrize(
    ("text", "key", "advice"),
    [
        ("{ tiny = { local_steps = 2 } }", "training.classes.tiny", "'small'"),
        ("{ small = { local_step = 2 } }", "training.classes.small.local_step", "'local_steps'"),
        ("{ small = { } }", "training.classes.small", "give sample_rate"),
        ("3", "training.classes", "must be"),
    ],
)
def test_mistakes_are_named_with_their_key(text: str, key: str, advice: str) -> None:
    with pytest.raises(StudyFileError) as found:
        parse(in_file(text))
    assert (found.value.key, advice in str(found.value)) == (key, True), str(found.value)


@pytest.mark.parametrize("name", MACHINE_CLASSES)
def test_an_offer_says_the_class(name: str) -> None:
    offer = samples.offer(machine=name)
    assert Offer.from_json(offer.to_json()) == offer
    assert offer.to_json()["machine"] == name


def test_an_offer_without_a_class_is_as_before() -> None:
    document = samples.offer().to_json()
    assert "machine" not in document
    assert Offer.from_json(document).machine == ""


@pytest.mark.parametrize("wrong", ["tiny", "Small", None, 3, ["small"]])
def test_the_classes_of_an_offer_are_a_closed_list(wrong: object) -> None:
    with pytest.raises(MessageError, match="machine must be one of: small, standard"):
        Offer.from_json(samples.offer().to_json() | {"machine": wrong})
