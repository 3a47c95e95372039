"""A study is written in the browser: by form, from a file, and changed again."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from federation.protocol import study_file
from studies.models import Study
from studies.selectors.protocols import protocol_of
from tests.pages.filled import filled
from tests.studies.protocols import small_protocol

NEW, IMPORT = "/new-study/", "/new-study/import/"


@pytest.fixture
def ada(cast, browse):
    return browse(cast.ada)


def test_a_filled_form_becomes_a_draft(ada, cast):
    answer = ada.post(NEW, filled(small_protocol()))
    study = Study.objects.get()
    assert answer.url == reverse("study-protocol", args=(study.slug,))
    assert (study.status, study.lead) == ("draft", cast.ada)
    assert protocol_of(study) == small_protocol()


def test_a_faulty_form_keeps_what_was_typed(ada):
    answer = ada.post(NEW, filled(small_protocol(), **{"privacy-target_delta": "2"}))
    assert answer.status_code == 422
    assert not Study.objects.exists()
    html = answer.content.decode()
    assert "This cannot be kept yet" in html
    assert 'value="Heart disease"' in html


def test_public_rows_are_kept_with_their_digest(ada):
    file = SimpleUploadedFile("rows.csv", b"age,sick\n50,0\n")
    ada.post(NEW, filled(small_protocol()) | {"evaluation-public_rows": file})
    study = Study.objects.get()
    with study.public_evaluation.open() as kept:
        assert kept.read() == b"age,sick\n50,0\n"
    assert protocol_of(study).evaluation.public_digest in study.public_evaluation.name


@pytest.mark.parametrize("page", [NEW, IMPORT])
def test_a_file_of_rows_that_does_not_fit_is_said_at_its_field(ada, page):
    file = SimpleUploadedFile("rows.parquet", b"age,sick\n500,0\n")
    sent = {"text": study_file.write(small_protocol()), "public_rows": file}
    if page == NEW:
        sent = filled(small_protocol()) | {"evaluation-public_rows": file}
    answer = ada.post(page, sent)
    assert answer.status_code == 422
    assert not Study.objects.exists()
    html = answer.content.decode()
    field = re.search(r'id="id_[\w-]*public_rows_error">.*?</div>', html, re.S)[0]
    assert "The public rows, read as CSV: column &#x27;age&#x27;: out of bounds" in field


def test_an_exported_study_comes_back_equal(ada, submitted):
    exported = ada.get(reverse("study-export", args=(submitted.slug,)))
    assert exported["Content-Disposition"] == 'attachment; filename="heart-disease.toml"'
    ada.post(IMPORT, {"text": exported.content.decode()})
    copy = Study.objects.exclude(pk=submitted.pk).get()
    assert protocol_of(copy) == protocol_of(submitted).model_copy(update={"plan": None})


@pytest.mark.parametrize("steps", ["1", "2"])
def test_a_setting_without_effect_is_told_when_it_is_kept(ada, steps):
    changes = {"training-optimiser": "momentum", "training-local_steps": steps}
    page = ada.post(NEW, filled(small_protocol(), **changes), follow=True).content.decode()
    assert ("&quot;momentum&quot; does nothing with one local step" in page) == (steps == "1")
    assert Study.objects.count() == 1


def test_a_file_may_be_uploaded(ada):
    text = study_file.write(small_protocol())
    ada.post(IMPORT, {"file": SimpleUploadedFile("study.toml", text.encode())})
    assert protocol_of(Study.objects.get()) == small_protocol()


def test_the_commented_example_is_offered_and_can_be_kept(ada):
    page = ada.get(IMPORT + "?example=yes")
    assert "[data.target]" in page.content.decode()
    ada.post(IMPORT, {"text": study_file.example()})
    assert Study.objects.count() == 1


BROKEN = study_file.write(small_protocol()).replace("sample_rate = 0.5", "sample_rate = 7")


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"text": BROKEN}, ("training.sample_rate", "line ")),
        ({"text": "a = = 1"}, ("not valid TOML", "line 1")),
        ({"text": BROKEN.replace("sample_rate", "sampel_rate")}, ("sampel_rate", "line ")),
        ({"text": ""}, ("Choose a study file, or paste its text",)),
        ({"file": SimpleUploadedFile("x.toml", b"\xff\xfe\x00")}, ("no text file",)),
        ({"file": SimpleUploadedFile("x.toml", b"#" * 1_000_001)}, ("at most 1,000,000 bytes",)),
        ({"text": "x = '''<script>alert(1)</script>'''"}, ("This file cannot be used yet",)),
    ],
    ids=["value", "syntax", "unknown key", "nothing", "binary", "huge", "markup"],
)
def test_a_faulty_file_gets_one_clear_message(ada, sent, says):
    answer = ada.post(IMPORT, sent)
    assert answer.status_code == 422
    assert not Study.objects.exists()
    html = answer.content.decode()
    assert all(words in html for words in says)
    assert "<script>alert" not in html


def test_a_file_of_this_machine_is_never_read(ada, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("age,sick\n1,1\n")
    text = study_file.write(small_protocol()).replace(
        "[evaluation]", f'[evaluation]\npublic_file = "{secret}"'
    )
    answer = ada.post(IMPORT, {"text": text})
    assert "choose that file here as well" in answer.content.decode()
    assert not Study.objects.exists()


def test_public_rows_come_beside_the_file(ada):
    rows = SimpleUploadedFile("rows.csv", b"age,sick\n50,0\n")
    ada.post(IMPORT, {"text": study_file.write(small_protocol()), "public_rows": rows})
    study = Study.objects.get()
    assert protocol_of(study).evaluation.public_digest in study.public_evaluation.name


def test_a_revision_reopens_approvals_and_shows_the_difference(ada, approved):
    changed = filled(protocol_of(approved), **{"rounds-count": "3"})
    ada.post(reverse("study-edit", args=(approved.slug,)), changed)
    page = ada.get(reverse("study-protocol", args=(approved.slug,))).content.decode()
    assert "rounds.count" in page
    assert {row.status for row in approved.participations.all()} == {"invited"}


def test_a_running_study_cannot_be_changed(ada, running):
    answer = ada.get(reverse("study-edit", args=(running.slug,)), follow=True)
    assert "cannot be changed while the study is running" in answer.content.decode()


def test_a_name_that_is_an_address_does_no_harm(ada):
    ada.post(NEW, filled(small_protocol(), **{"study-name": "new"}))
    assert ada.get("/studies/new/").status_code == 200
