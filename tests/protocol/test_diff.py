"""Differences: every change is shown, nothing else is, and a new column is one change."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from federation.protocol import plans
from federation.protocol.diff import Change, differences
from federation.protocol.document import Protocol
from tests.protocol import samples

OLD = samples.protocol()


def _new(**sections: Any) -> Protocol:
    document = OLD.model_dump(mode="json")
    for name, changes in sections.items():
        document[name] = document[name] | changes if isinstance(changes, dict) else changes
    return Protocol.model_validate(document)


def test_nothing_changed() -> None:
    assert differences(OLD, _new()) == []


def test_one_field() -> None:
    assert differences(OLD, _new(training={"learning_rate": 2.0})) == [
        Change("training.learning_rate", 1.0, 2.0)
    ]


def test_changes_come_in_the_documents_order() -> None:
    new = _new(rounds={"count": 12}, purpose="Another", model={"parameters": {"hidden": [8]}})
    assert [change.path for change in differences(OLD, new)] == [
        "purpose",
        "model.parameters.hidden",
        "rounds.count",
    ]


def test_parameters_that_come_and_go() -> None:
    new = _new(model={"parameters": {"activation": "tanh"}})
    assert differences(OLD, new) == [
        Change("model.parameters.hidden", [32], None),
        Change("model.parameters.activation", None, "tanh"),
    ]


def test_a_column_in_front_is_one_change() -> None:
    columns = OLD.model_dump(mode="json")["data"]["columns"]
    new = {"name": "sex", "kind": "category", "categories": ["0", "1"]}
    (change,) = differences(OLD, _new(data={"columns": [new, *columns]}))
    assert (change.path, change.before) == ("data.columns[sex]", None)
    assert change.after["categories"] == ["0", "1"]


def test_a_changed_column_and_member_are_named() -> None:
    document = OLD.model_dump(mode="json")
    document["data"]["columns"][1]["high"] = 800
    document["cohort"][1]["cohort_size"] = 250
    del document["cohort"][0]
    changes = differences(OLD, Protocol.model_validate(document))
    assert [change.path for change in changes] == [
        "data.columns[chol].high",
        "cohort[cleveland]",
        "cohort[budapest].cohort_size",
    ]
    assert changes[1].after is None


def test_another_order_is_a_change() -> None:
    columns = OLD.model_dump(mode="json")["data"]["columns"]
    assert differences(OLD, _new(data={"columns": columns[::-1]})) == [
        Change("data.columns (order)", ["age", "chol", "cp"], ["cp", "chol", "age"])
    ]


def test_true_is_not_one() -> None:
    one, true = (_new(model={"parameters": {"bias": value}}) for value in (1, True))
    assert one == true
    assert differences(one, true) == [Change("model.parameters.bias", 1, True)]
    assert differences(one, _new(model={"parameters": {"bias": 1.0}})) == []


def test_the_sealed_plan_is_shown() -> None:
    (change,) = differences(OLD, plans.seal(OLD))
    assert (change.path, change.before) == ("plan", None)


SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "training": st.fixed_dictionaries({"local_steps": st.integers(4, 5)}),
        "rounds": st.fixed_dictionaries({"quorum": st.sampled_from([None, 1, 2])}),
        "model": st.fixed_dictionaries(
            {"parameters": st.dictionaries(st.sampled_from("ab"), st.sampled_from([0, False, ""]))}
        ),
        "cohort": st.permutations(OLD.model_dump(mode="json")["cohort"]),
    },
)


@given(SECTIONS, SECTIONS)
def test_no_difference_means_the_same_digest(first: Any, second: Any) -> None:
    one, two = _new(**first), _new(**second)
    assert (differences(one, two) == []) == (one.digest == two.digest)
