"""The form says what the document says, and puts each fault where it can be mended."""

import json
from types import SimpleNamespace
from typing import Literal

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from federation.learning import architectures
from federation.learning.architectures import Parameters
from federation.protocol.document import Protocol
from studies.forms.architecture import ParametersForm
from studies.forms.lists import ClassesField, join, split
from tests.pages.filled import filled, reads
from tests.studies.protocols import small_protocol

PATIENTS = {"unit": "patient", "patient_column": "id", "max_rows_per_patient": 4}
COLUMNS = [
    {"name": "age", "low": 20, "high": 90, "unit": "years", "outside": "clip"},
    {"name": "chol", "low": 80, "high": 620, "centre": 240, "spread": 50, "missing": 240.0},
    {"name": "bp", "low": -1.5, "high": 2e3, "missing": "indicator"},
    {"name": "cp", "kind": "category", "categories": ["1", "a, b", "c=d"], "missing": "category"},
]
VARIETY = {
    "plain": {},
    "patients": {"data": PATIENTS},
    "columns": {"data": {"columns": COLUMNS, "missing_values": ["", "?", "-9"]}},
    "named classes": {
        "data": {
            "target": {
                "column": "sick",
                "classes": [["0"], ["1", "2"], ["3"]],
                "names": ["healthy", "ill", "gravely ill"],
            }
        }
    },
    "unnamed classes": {
        "data": {"target": {"column": "sick", "classes": [["a=b"], ["x, y", "z"]]}}
    },
    "network": {
        "model": {"architecture": "mlp", "parameters": {"hidden": [8, 4], "activation": "relu"}}
    },
    "own layers": {
        "model": {"architecture": "mlp", "parameters": {"hidden": [8]}, "personal_layers": 1}
    },
    "training": {
        "training": {
            "optimiser": "momentum",
            "momentum": 0.5,
            "initialisation": "seeded",
            "seed": 7,
            "iterate_averaging": "none",
            "class_weights": [1, 20.5],
            "engine": "opacus",
            "noise": "hardened",
            "proximal": 0.5,
        }
    },
    "target": {"privacy": {"noise_multiplier": None, "target_epsilon": 1, "epsilon_budget": 2}},
    "own shape": {"privacy": {"schedule": [1, 0.5]}},
    "rounds": {
        "rounds": {"quorum": 1, "deadline_seconds": 90.5},
        "aggregation": {"weights": "equal"},
    },
    "strategy": {"aggregation": {"strategy": "scaffold"}},
    "evaluation": {"evaluation": {"every": 1, "holdout": 0.25, "bins": 5, "noise_multiplier": 4}},
    "audit": {"audit": {"canaries": 20}},
    "public rows": {"evaluation": {"public_digest": "ab" * 32}},
    "purpose": {"purpose": "Two lines,\r\nnone of them <b>bold</b>"},
}


@pytest.mark.parametrize("name", VARIETY)
def test_sent_back_untouched_it_is_the_same_protocol(name):
    protocol = small_protocol(**VARIETY[name])
    forms = reads(filled(protocol), protocol)
    assert forms.is_valid(), forms.faults
    assert without_defaults(forms.protocol) == without_defaults(protocol)


def without_defaults(protocol: Protocol) -> Protocol:
    """Parameters that a form spells out and a document leaves to the default are the same."""
    read = architectures.read(protocol.model.architecture, protocol.model.parameters)
    model = protocol.model.model_copy(update={"parameters": read.model_dump()})
    return protocol.model_copy(update={"model": model})


@pytest.mark.parametrize(
    ("changes", "part", "field"),
    [
        ({"columns-0-low": "95"}, "column", None),
        ({"columns-0-low": ""}, "column", "low"),
        ({"columns-0-high": "many"}, "column", "high"),
        ({"data-unit": "patient"}, "data", None),
        ({"target-column": "age"}, "data", None),
        ({"target-classes": "0"}, "target", "classes"),
        ({"target-classes": "a = 0\n1"}, "target", "classes"),
        ({"training-sample_rate": "1.5"}, "training", "sample_rate"),
        ({"training-local_steps": "0"}, "training", "local_steps"),
        ({"training-max_grad_norm": "1e-13"}, "training", "max_grad_norm"),
        ({"training-learning_rate": "1e300"}, "training", "learning_rate"),
        ({"training-seed": "9007199254740993"}, "training", "seed"),
        ({"training-seed": "-100000000000000000000"}, "training", "seed"),
        ({"rounds-quorum": "100000000000000000000"}, "rounds", "quorum"),
        ({"evaluation-every": "100000000000000000000"}, "evaluation", "every"),
        ({"privacy-noise_multiplier": "1e9"}, "privacy", "noise_multiplier"),
        ({"training-proximal": "-1"}, "training", "proximal"),
        ({"training-proximal": "100"}, "training", None),
        ({"training-proximal": "0.1", "training-optimiser": "adam"}, "training", None),
        ({"privacy-target_epsilon": "1"}, "privacy", None),
        ({"privacy-target_delta": "nan"}, "privacy", "target_delta"),
        ({"privacy-schedule": "custom", "privacy-shape": "1, x"}, "privacy", "shape"),
        ({"rounds-count": "-2"}, "rounds", "count"),
        ({"rounds-strategy": "best"}, "rounds", "strategy"),
        ({"evaluation-every": "1"}, "evaluation", None),
        ({"model-architecture": "transformer"}, "model", "architecture"),
        ({"model-personal_layers": "-1"}, "model", "personal_layers"),
        ({"members-0-institution": "nowhere"}, "member", "institution"),
        ({"members-0-cohort_size": "0"}, "member", "cohort_size"),
        ({"study-name": ""}, "study", "name"),
    ],
)
def test_a_fault_lies_on_its_field(changes, part, field):
    forms = reads(filled(small_protocol(), **changes))
    assert not forms.is_valid()
    where = {**forms.parts, "column": forms.columns.forms[0], "member": forms.members.forms[0]}
    assert (field or "__all__") in where[part].errors


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rounds-quorum": "9"}, "rounds.quorum is larger than the cohort"),
        (
            {"rounds-strategy": "scaffold", "training-optimiser": "adam"},
            "aggregation.strategy: 'scaffold' reckons with plain steps",
        ),
        ({"model-personal_layers": "1"}, "model.personal_layers: this 'logistic' has 1"),
        ({"training-class_weights": "1"}, "class_weights needs one number per target class"),
        ({"members-1-institution": "cleveland"}, "named twice in the cohort"),
    ],
)
def test_a_fault_of_the_whole_is_a_sentence(changes, says):
    forms = reads(filled(small_protocol(), **changes))
    assert not forms.is_valid()
    assert any(says in fault for fault in forms.faults)


def test_a_parameter_out_of_its_bounds_is_named():
    network = small_protocol(model={"architecture": "mlp", "parameters": {"hidden": [8]}})
    forms = reads(filled(network, **{"parameters-mlp-hidden": "8, 100000"}))
    assert not forms.is_valid()
    assert "model.parameters.hidden.1" in forms.faults[0]


@pytest.mark.parametrize("name", architectures.names())
def test_every_parameter_comes_back_as_it_was(name):
    for preset in ({}, *architectures.get(name).presets.values()):
        sent = {**architectures.read(name, preset).model_dump()}
        form = ParametersForm(name, in_browser(name, sent))
        assert form.is_valid(), form.errors
        assert architectures.read(name, form.parameters()).model_dump() == sent


@pytest.mark.parametrize("name", architectures.names())
def test_the_button_of_a_preset_fills_in_its_parameters(name):
    chosen = architectures.get(name)
    buttons = ParametersForm(name).presets()
    assert set(buttons) == set(chosen.presets)
    for preset, texts in buttons.items():
        form = ParametersForm(name, json.loads(texts))
        assert form.is_valid(), form.errors
        found = architectures.read(name, form.parameters())
        assert found == architectures.read(name, chosen.presets[preset])


@pytest.mark.django_db
def test_the_page_has_the_buttons(browse, cast):
    page = browse(cast.ada).get(reverse("study-new")).content.decode()
    assert ">network traffic</button>" in page
    assert "&quot;parameters-lstm-hidden&quot;: &quot;100&quot;" in page


class EveryKind(Parameters):
    """Parameters of kinds that a new architecture may bring."""

    width: int = Field(8, ge=1, le=9, title="Width", description="…")
    rate: float = Field(0.5, gt=0, lt=1, title="Rate", description="…")
    biased: bool = Field(True, title="Biased", description="…")
    word: str = Field("x", title="Word", description="…")
    kind: Literal["a", "b"] = Field("a", title="Kind", description="…")
    maybe: int | None = Field(None, title="Maybe", description="…")


def test_a_new_architecture_may_have_parameters_of_any_kind(monkeypatch):
    chosen = SimpleNamespace(name="new", Parameters=EveryKind, presets={"bare": {"biased": False}})
    monkeypatch.setattr(architectures, "get", lambda name: chosen)
    form = ParametersForm("new")
    assert form.fields["biased"].widget.attrs["class"] == "form-check-input"
    assert form.fields["kind"].widget.attrs["class"] == "form-select"
    assert json.loads(form.presets()["bare"])["parameters-new-biased"] == "False"
    for values in ({}, {"biased": False, "rate": 0.25, "maybe": 3, "word": "y", "kind": "b"}):
        sent = EveryKind(**values).model_dump()
        form = ParametersForm("new", in_browser("new", sent))
        assert form.is_valid(), form.errors
        assert EveryKind(**form.parameters()).model_dump() == sent


def in_browser(name, parameters):
    """What a browser sends; of what is None nothing, as of a field that is left empty."""
    texts = {key: join(v) if isinstance(v, list) else str(v) for key, v in parameters.items()}
    return {
        f"parameters-{name}-{key}": t for key, t in texts.items() if parameters[key] is not None
    }


@pytest.mark.parametrize(
    ("name", "key", "text"),
    [
        ("lstm", "hidden", "0"),
        ("lstm", "layers", "9"),
        ("gru", "hidden", "many"),
        ("gru", "reads", "first"),
        ("cnn", "hidden", "-1"),
        ("cnn", "channels", "16, x"),
        ("cnn", "normalisation", "batch"),
        ("resnet18", "width", "128"),
        ("resnet18", "stem", "huge"),
    ],
)
def test_a_wrong_parameter_lies_on_its_field(name, key, text):
    form = ParametersForm(name, in_browser(name, {key: text}))
    assert not form.is_valid()
    assert key in form.errors


def test_a_model_of_images_over_a_table_is_refused_when_it_is_saved():
    forms = reads(filled(small_protocol(), **{"model-architecture": "cnn"}))
    assert not forms.is_valid()
    assert (
        "'cnn' reads images, but the data contract gives a plain list of features (1)"
        in forms.faults[0]
    )


def test_a_removed_row_is_gone():
    protocol = small_protocol(data={"columns": COLUMNS})
    forms = reads(filled(protocol, **{"columns-1-DELETE": "on"}))
    assert forms.is_valid()
    assert [column.name for column in forms.protocol.data.columns] == ["age", "bp", "cp"]


def test_a_row_of_the_cohort_that_is_left_blank_is_nobody():
    """Added by the script, so no initial one: Django then calls an empty row valid."""
    blank = {"members-INITIAL_FORMS": "0", "members-TOTAL_FORMS": "3"}
    forms = reads(filled(small_protocol(), **blank))
    assert forms.is_valid(), forms.faults
    assert len(forms.protocol.cohort) == 2


def test_a_fault_after_a_removed_row_lies_on_the_right_row():
    protocol = small_protocol(data={"columns": COLUMNS})
    changes = {"columns-0-DELETE": "on", "columns-2-low": "9000"}
    forms = reads(filled(protocol, **changes))
    assert not forms.is_valid()
    assert forms.columns.forms[2].errors
    assert not forms.columns.forms[1].errors


def test_every_architecture_has_its_fields():
    forms = reads(filled(None))
    shown = {form.architecture.name: set(form.fields) for form in forms.parameters}
    wanted = {n: set(architectures.get(n).Parameters.model_fields) for n in architectures.names()}
    assert shown == wanted


@pytest.mark.parametrize(
    ("digest", "said"), [("ab" * 32, "One is kept (SHA-256 abababababab…)"), (None, "Rows that")]
)
def test_it_is_said_which_public_rows_are_kept(digest, said):
    protocol = small_protocol(evaluation={"public_digest": digest})
    forms = reads(filled(protocol), protocol)
    assert forms.parts["evaluation"]["public_rows"].help_text.startswith(said)


def test_public_rows_can_be_forgotten():
    protocol = small_protocol(evaluation={"public_digest": "ab" * 32})
    forms = reads(filled(protocol, **{"evaluation-forget_public_rows": "on"}), protocol)
    assert forms.is_valid()
    assert forms.protocol.evaluation.public_digest is None


TEXT = st.text(st.characters(exclude_categories=("C", "Z")), max_size=12).map(str.strip)


@given(st.lists(TEXT, max_size=6))
def test_lists_come_back_from_their_text(values):
    assert split(join(values)) == values


@given(st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=2, max_size=4))
def test_classes_come_back_from_their_lines(classes):
    field = ClassesField()
    assert field.to_python(field.prepare_value(([], classes))) == ([], classes)


# Every fault is listed where the page begins, with a way to its field.


def test_the_faults_are_listed_with_their_fields():
    protocol = small_protocol(data={"columns": COLUMNS})
    wrong = {"columns-1-low": "", "members-0-cohort_size": "0", "rounds-count": "x"}
    forms = reads(filled(protocol, **wrong))
    assert not forms.is_valid()
    assert {(mark.label, mark.field) for mark in forms.marks()} == {
        ("Rounds", "id_rounds-count"),
        ("Institution 1: Declared size", "id_members-0-cohort_size"),
    }
    forms = reads(filled(protocol, **{"columns-1-low": "", "columns-0-high": "1"}))
    assert not forms.is_valid()
    assert [mark.label for mark in forms.marks()] == ["Column 1", "Column 2: Lowest value"]
    assert forms.marks()[0].field == "id_columns-0-name"
    forms = reads(filled(protocol, **{"privacy-target_epsilon": "1"}))
    assert not forms.is_valid()
    (mark,) = forms.marks()
    assert (mark.label, mark.field) == ("Target ε", "id_privacy-target_epsilon")
    assert "not both or neither" in mark.text


def test_a_removed_row_has_no_faults_to_list():
    protocol = small_protocol(data={"columns": COLUMNS})
    forms = reads(filled(protocol, **{"columns-1-high": "x", "columns-1-DELETE": "on"}))
    assert forms.is_valid()
    assert forms.marks() == []
    assert reads(filled(protocol)).marks() == []


@pytest.mark.django_db
def test_the_page_leads_to_the_faults(browse, cast):
    sent = filled(small_protocol(), **{"training-sample_rate": "7"})
    page = browse(cast.ada).post("/new-study/", sent).content.decode()
    assert '<a href="#id_training-sample_rate">Sample rate</a>: ' in page
    assert 'id="id_training-sample_rate"' in page
