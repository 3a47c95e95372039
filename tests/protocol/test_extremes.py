"""Numbers with which a round would fail at the site are refused where they are written."""

import numpy as np
import pytest

from federation.learning import grades
from federation.learning.initial import initial_tensors
from federation.learning.training import trained
from federation.protocol import plans
from federation.protocol.document import DataContract
from federation.protocol.study_file import StudyFileError, example, parse
from tests.learning.builders import nothing, protocol, rows

TOO_MUCH = [
    ("training", "learning_rate = 1e300"),
    ("training", "learning_rate = 1e-300"),
    ("training", "max_grad_norm = 1e300"),
    ("training", "sample_rate = 1e-300"),
    ("training", "proximal = 1e300"),
    ("training", "class_weights = [1, 1e300]"),
    ("privacy", "noise_multiplier = 1e9"),
    ("evaluation", "noise_multiplier = 1e9"),
]


def text_with(section, line):
    """The example with this line in the section, instead of the one of its key."""
    key, out, inside = line.split(" = ")[0], [], False
    gone = {key} | ({"target_epsilon"} if section == "privacy" else set())
    for row in example().splitlines():
        header = row.split("#")[0].strip()
        inside = header == f"[{section}]" if header.startswith("[") else inside
        if not (inside and row.split(" =")[0].lstrip("# ") in gone):
            out.append(row)
        if header == f"[{section}]":
            out.append(line)
    return "\n".join(out)


@pytest.mark.parametrize(("section", "line"), TOO_MUCH)
def test_a_file_is_told_the_bound_at_its_key(section, line):
    with pytest.raises(StudyFileError) as refused:
        parse(text_with(section, line))
    assert refused.value.key.startswith(f"{section}.{line.split(' = ')[0]}")
    assert "must be" in refused.value.advice


HUGE = [
    ("training", "seed"),
    ("training", "local_steps"),
    ("rounds", "count"),
    ("rounds", "quorum"),
    ("evaluation", "every"),
    ("evaluation", "bins"),
    ("audit", "canaries"),
    ("model.parameters", "hidden"),
    ("model.parameters", "of_no_architecture"),
]


@pytest.mark.parametrize("number", [2**53 + 1, -(10**20), 10**400])
@pytest.mark.parametrize(("section", "key"), HUGE)
def test_a_whole_number_without_a_place_in_json_is_refused_at_its_key(section, key, number):
    with pytest.raises(StudyFileError) as refused:
        parse(text_with(section, f"{key} = {number}"))
    assert refused.value.key == f"{section}.{key}"


def test_digits_without_an_end_are_no_toml():
    with pytest.raises(StudyFileError, match="not valid TOML"):
        parse(text_with("training", "seed = " + "1" * 5000))


def test_a_category_may_be_any_whole_number():
    assert DataContract.model_validate(
        {
            "columns": [{"name": "a", "low": 0, "high": 1}],
            "target": {"column": "y", "classes": [[10**400], [1]]},
        }
    ).target.classes == [[str(10**400)], ["1"]]


@pytest.mark.parametrize(
    ("privacy", "key"),
    [
        ({"noise_multiplier": 1e6, "schedule": [1.0, 100.0]}, "privacy.noise_multiplier"),
        ({"noise_multiplier": None, "target_epsilon": 1e-9}, "privacy.target_epsilon"),
    ],
)
def test_no_plan_is_sealed_with_more_noise_than_can_be_drawn(privacy, key):
    study = protocol()
    document = study.model_dump()
    document["privacy"] |= {"target_delta": 1e-10} | privacy
    with pytest.raises(plans.NoPlan, match=key):
        plans.seal(type(study).model_validate(document))


@pytest.mark.parametrize("noise", grades.names())
@pytest.mark.parametrize("rate", [1e-12, 1e6])
def test_within_the_bounds_every_round_ends_in_finite_numbers(noise, rate):
    study = protocol(noise=noise, learning_rate=rate, max_grad_norm=1e6, local_steps=3)
    made = trained(
        protocol=study,
        tensors=initial_tensors(study),
        data=rows(20),
        noise_multiplier=1e6,
        batch_denominator=1e-9,
        step_done=nothing,
    )
    assert all(np.isfinite(array).all() for array in made.priced.tensors.values())


NUMBER = {"name": "x", "low": 0, "high": 1}
IMAGE = NUMBER | {"kind": "array", "shape": [2]}
TARGET = {"column": "y", "kind": "number", "low": 0, "high": 1}
FAR = [
    ({"low": -1e308, "high": 1e308}, "high is too far above low"),
    ({"centre": 0, "spread": 1e-300}, "spread is so small"),
    ({"centre": 1e300, "spread": 1}, "spread is so small"),
    ({"centre": -1.7e308, "spread": 1e-300, "high": 1.7e308, "low": 0}, "spread is so small"),
]


@pytest.mark.parametrize("column", [NUMBER, IMAGE])
@pytest.mark.parametrize(("changes", "told"), FAR)
def test_a_scale_that_makes_no_number_of_a_bound_is_refused(column, changes, told):
    """Its rows would be left out without a word, as those whose gradients are not finite are."""
    target = {"column": "y", "classes": [[0], [1]]}
    DataContract.model_validate({"columns": [column], "target": target})
    with pytest.raises(ValueError, match=told):
        DataContract.model_validate({"columns": [column | changes], "target": target})


def test_so_is_a_target_of_endless_span():
    DataContract.model_validate({"columns": [NUMBER], "target": TARGET})
    wide = TARGET | {"low": -1e308, "high": 1e308}
    with pytest.raises(ValueError, match="high is too far above low"):
        DataContract.model_validate({"columns": [NUMBER], "target": wide})
