"""Classes of machine are planned in the form: rows, their faults, their prices, and back again."""

import re

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounting.services import budgets
from federation.protocol import plans
from federation.protocol.document import Protocol
from federation.protocol.machines import MACHINE_CLASSES
from studies.models import Study
from studies.selectors.protocols import protocol_of
from studies.services import studies
from tests.pages.filled import filled, reads
from tests.pages.markup import Page
from tests.studies.protocols import cohort, small_protocol

PLAN = st.fixed_dictionaries(
    {},
    optional={
        "local_steps": st.integers(1, 10**6),
        "sample_rate": st.floats(1e-9, 1),
    },
).filter(bool)
TWO = {"small": {"local_steps": 1}, "large": {"sample_rate": 0.9}}


def planned(**classes) -> Protocol:
    return small_protocol(training={"classes": classes})


# There and back.


@given(st.dictionaries(st.sampled_from(MACHINE_CLASSES), PLAN))
def test_the_form_gives_back_the_protocol(classes):
    protocol = planned(**classes)
    forms = reads(filled(protocol), protocol)
    assert forms.is_valid(), forms.faults
    assert forms.protocol.training == protocol.training
    assert forms.protocol.digest == without_defaults(forms.protocol, protocol).digest


def without_defaults(found: Protocol, protocol: Protocol) -> Protocol:
    """The form spells out the architecture's parameters; nothing else may differ."""
    return protocol.model_copy(update={"model": found.model})


def test_a_class_that_only_a_file_stated_is_kept():
    """A site that never reported: its class is not lost by touching the form."""
    members = [{**cohort("cleveland")[0], "machine": "large"}, *cohort("budapest")]
    protocol = small_protocol(training={"classes": TWO}, cohort=members)
    forms = reads(filled(protocol), protocol)
    assert forms.is_valid(), forms.faults
    assert [row.machine for row in forms.protocol.cohort] == ["large", None]


def test_smallest_machines_come_first():
    forms = reads(filled(planned(**TWO)))
    assert [row["machine"].value() for row in forms.classes] == ["small", "large"]


# Adding, changing, removing.


def rows(*values: dict[str, str]) -> dict[str, str]:
    """What a browser sends of these rows, all of them added by its script."""
    sent = {"classes-TOTAL_FORMS": str(len(values)), "classes-INITIAL_FORMS": "0"}
    for number, row in enumerate(values):
        sent |= {f"classes-{number}-{name}": text for name, text in row.items()}
    return sent


def test_an_added_class_is_planned():
    forms = reads(filled(small_protocol(), **rows({"machine": "small", "local_steps": "1"})))
    assert forms.is_valid(), forms.faults
    assert forms.protocol.training.classes["small"].model_dump() == {
        "local_steps": 1,
        "sample_rate": None,
    }


def test_a_removed_class_is_gone_and_its_faults_with_it():
    wrong = {"classes-0-DELETE": "on", "classes-0-local_steps": "none"}
    forms = reads(filled(planned(**TWO), **wrong))
    assert forms.is_valid(), forms.faults
    assert set(forms.protocol.training.classes) == {"large"}


def test_a_class_removed_and_added_again_stands_once():
    twice = rows(
        {"machine": "small", "local_steps": "3", "DELETE": "on"},
        {"machine": "small", "local_steps": "1"},
    )
    forms = reads(filled(small_protocol(), **twice))
    assert forms.is_valid(), forms.faults
    assert forms.protocol.training.classes["small"].local_steps == 1


def test_a_row_left_empty_is_no_class():
    forms = reads(filled(small_protocol(), **rows({"machine": ""})))
    assert forms.is_valid(), forms.faults
    assert forms.protocol.training.classes == {}


# Faults.


@pytest.mark.parametrize(
    ("row", "field", "says"),
    [
        ({"machine": ""}, "machine", "required"),
        ({"machine": "huge"}, "machine", "valid choice"),
        ({"local_steps": "0"}, "local_steps", "greater than or equal to 1"),
        ({"local_steps": "2000000"}, "local_steps", "1000000"),
        ({"local_steps": "few"}, "local_steps", "whole number"),
        ({"local_steps": ""}, "local_steps", "Give steps, a sample rate or both"),
        ({"sample_rate": "0"}, "sample_rate", "greater than or equal to"),
        ({"sample_rate": "1.5"}, "sample_rate", "less than or equal to 1"),
        ({"sample_rate": "half"}, "sample_rate", "number"),
    ],
)
def test_a_fault_lies_on_its_field(row, field, says):
    sent = rows({"machine": "large", "local_steps": "9"}, {"machine": "small", "local_steps": "1"})
    sent |= {f"classes-1-{name}": text for name, text in row.items()}
    forms = reads(filled(small_protocol(), **sent))
    assert not forms.is_valid()
    assert forms.classes.forms[0].errors == {}
    assert says in str(forms.classes.forms[1].errors[field])


def test_the_second_row_of_a_class_is_at_fault():
    twice = rows(*({"machine": "small", "local_steps": str(n)} for n in (1, 2)))
    forms = reads(filled(small_protocol(), **twice))
    assert not forms.is_valid()
    assert forms.classes.forms[0].errors == {}
    assert "stands above already" in str(forms.classes.forms[1].errors["machine"])


ADAPTIVE = {"privacy-schedule": "adaptive", "privacy-noise_multiplier": ""}


@pytest.mark.parametrize(
    "changes",
    [
        {"audit-canaries": "10"},
        ADAPTIVE | {"privacy-target_epsilon": "1", "evaluation-every": "1"}
        | {"evaluation-holdout": "0.2", "evaluation-noise_multiplier": "9"},
    ],
    ids=["audit", "adaptive"],
)  # fmt: skip
def test_what_goes_not_together_is_said_beside_the_classes(changes):
    forms = reads(filled(planned(**TWO), **changes))
    assert not forms.is_valid()
    assert forms.faults == []
    assert any("leave" in fault for fault in forms.classes.non_form_errors())


# The pages.


@pytest.fixture
def ada(cast, browse):
    return browse(cast.ada)


def test_a_submitted_study_with_classes_is_changed_in_the_form(ada, cast, hospitals):
    hospitals.budapest.offer["machine"] = "small"
    hospitals.budapest.save()
    study = studies.submit(studies.create(protocol=planned(**TWO), by=cast.ada), by=cast.ada)
    address = reverse("study-edit", args=(study.slug,))
    page = ada.get(address).content.decode()
    assert Page(page).page_faults() == []
    assert ">Budapest (small machine)</option>" in page
    ada.post(address, filled(protocol_of(study), **{"classes-0-local_steps": "2"}))
    study.refresh_from_db()
    protocol = protocol_of(study)
    assert protocol.training.classes["small"].local_steps == 2
    assert protocol.member("budapest").machine == "small"
    assert set(protocol.plan.classes) == {"small"}


def test_a_faulty_row_is_shown_with_its_words(ada):
    answer = ada.post("/new-study/", filled(small_protocol(), **rows({"machine": "small"})))
    assert answer.status_code == 422
    html = answer.content.decode()
    assert Page(html).page_faults() == []
    assert "Give steps, a sample rate or both; or remove this class." in html
    assert 'aria-describedby="id_classes-0-local_steps_helptext' in html
    assert not Study.objects.exists()


# The planner.


def asked(client, protocol: Protocol, **changes: str) -> str:
    answer = client.post("/planner/", filled(protocol, **changes))
    assert answer.status_code == 200
    return answer.content.decode()


def told(html: str) -> dict[str, list[str]]:
    """Class → its cells: noise; ε, and how many rounds a budget holds."""
    found = re.findall(r'data-class="(\w+)">.*?</th>(.*?)</tr>', html, re.S)
    cells = {name: re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for name, row in found}
    return {name: [re.sub(r"<[^>]+>", "", cell) for cell in row] for name, row in cells.items()}


def test_each_class_is_priced_as_submission_seals_it(ada, hospitals):
    """With one noise for all, ε differs by class; the head is the costliest's."""
    for house, machine in ((hospitals.budapest, "small"), (hospitals.cleveland, "large")):
        house.offer["machine"] = machine
        house.save()
    html = asked(ada, planned(**TWO))
    members = [
        {**row, "machine": machine}
        for row, machine in zip(cohort("budapest", "cleveland"), ("small", "large"), strict=True)
    ]
    sealed = plans.seal(small_protocol(training={"classes": TWO}, cohort=members)).plan
    for name, plan in sealed.classes.items():
        assert float(told(html)[name][1]) == pytest.approx(float(plan.epsilon), abs=1e-3)
    small, large = (float(told(html)[name][1]) for name in ("small", "large"))
    assert small < float(sealed.epsilon) < large
    assert f"ε ≤ {told(html)['large'][1]}" in re.search(r"data-planner-line>(.*?)</p>", html)[1]
    assert "Budapest" in html
    assert "no invited site" not in html
    assert Page(html).all_faults() == []


def test_with_a_target_each_class_has_its_own_noise(ada):
    target = {"privacy-target_epsilon": "1", "privacy-noise_multiplier": ""}
    noise, price = told(asked(ada, planned(**TWO), **target))["small"]
    other = told(asked(ada, planned(**TWO), **target))["large"][0]
    assert 0.99 < float(price) <= 1
    assert float(noise) < float(other)


def test_a_budget_holds_fewer_rounds_of_a_costly_class(ada):
    cells = told(asked(ada, planned(**TWO), **{"privacy-epsilon_budget": "1.9"}))
    assert "budget holds" not in cells["small"][1]
    assert re.search(r"budget holds\s+1 of 2", cells["large"][1])


def test_without_a_budget_each_class_ends_at_its_own(ada):
    """As `plans.epsilon_budget` has it: what one class costs raises nobody else's."""
    html = asked(ada, planned(**TWO))
    assert f"ε ≤ {told(html)['large'][1]}, each by its own class" in html
    assert "budget of this study" not in html


def test_no_epsilon_of_a_class_stands_without_its_terms(ada):
    html = asked(ada, planned(**TWO))
    caption = html[html.index("Each class of machine by itself") :][:200]
    assert "δ = 0.001 · PLD accountant · per row · this study, each institution" in caption


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes-0-local_steps": ""}, "Classes of machine: Give steps"),
        ({"classes-0-sample_rate": "7"}, "Classes of machine: Sample rate: above 0, up to 1"),
        ({"classes-0-local_steps": "9000000"}, "Classes of machine: Local steps: up to 1,000,000"),
        ({"classes-1-machine": "small"}, "Classes of machine: This class stands above already"),
        (
            ADAPTIVE | {"privacy-target_epsilon": "1"},
            "Classes of machine: noise that is chosen on the way is one for all",
        ),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(ada, changes, says):
    html = asked(ada, planned(**TWO), **changes)
    assert "Still to fill in" in html
    assert says in html


def test_a_site_is_judged_by_the_plan_of_its_class(ada, cast, hospitals):
    """A budget that all other machines fit is too small for the costly class."""
    offered = {"name": "heart", "lineage": "heart-1988", "epsilon": "3", "delta": "0.001"}
    budgets.declare(hospitals.cleveland, [offered])
    costly = planned(large={"local_steps": 400})

    def answer() -> str:
        return re.search(r'data-house="cleveland".*?</tr>', asked(ada, costly), re.S)[0]

    assert "Fits" in answer()
    hospitals.cleveland.offer["machine"] = "large"
    hospitals.cleveland.save()
    assert "Does not fit" in answer()
