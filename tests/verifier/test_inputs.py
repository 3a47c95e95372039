"""A file in another's place is told in one line what it is, what to do, and never a 0."""

import json

import pytest

from accounting.reports.build import preview
from accounting.reports.renderings import rendered
from accounting.reports.scopes import Scope
from accounting.selectors.export import ledger_text
from tests.verifier import bundles

pytestmark = pytest.mark.django_db


def said(capsys, *arguments: str) -> str:
    assert bundles.main([str(each) for each in arguments]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    return line


@pytest.fixture
def saved(tmp_path, capsys):
    """saved(bytes): the one line about a file that is given as the bundle."""

    def save(data: bytes) -> str:
        file = tmp_path / "given"
        file.write_bytes(data)
        return said(capsys, file)

    return save


@pytest.fixture
def report(db):
    bundles.played()
    return preview(Scope("heart"))


def test_a_report_is_sent_to_its_option(saved, report):
    line = saved(rendered(report, "json"))
    assert line.startswith("✗ refused: this is a report, not a bundle")
    assert "cloister_verify.py bundle.json --report FILE" in line


def test_a_signed_report_too(saved):
    signed = {"text": "{}", "sha256": "0" * 64, "signatures": []}
    assert "this is a report" in saved(json.dumps(signed).encode())


@pytest.mark.parametrize(
    ("form", "kind"), [("pdf", "is a PDF, not JSON"), ("csv", "is a report as CSV, not JSON")]
)
def test_another_form_of_a_report_is_named(saved, report, form, kind):
    line = saved(rendered(report, form))
    assert kind in line
    assert "take the report's JSON" in line


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"PK\x03\x04rest", "unpack it"),
        (b"\x1f\x8b\x08", "unpack it"),
        (b"\n<!doctype html><p>Log in", "a web page"),
        (b"entry,at,study\r\n1,now,heart\r\n", "is not JSON: export a bundle"),
        (b'[study]\nname = "Hearts"', "it is not JSON, or was cut short"),
        (b"5", "this is no bundle: export a bundle"),
        (b'{"schema": "cloister-verdict/1"}', "a verdict of this program"),
    ],
)
def test_other_files_are_told_in_one_line(saved, data, words):
    assert words in saved(data)


def test_a_ledger_without_proofs_is_told(saved, report):
    assert "a study's ledger.json, which has no proofs" in saved(ledger_text("heart").encode())


def test_a_bundle_in_the_reports_place(tmp_path, capsys, honest):
    bundle, other = tmp_path / "bundle.json", tmp_path / "other.json"
    bundle.write_text(json.dumps(honest))
    other.write_text('{"schema": "cloister-ledger/1"}')
    assert "give the bundle first" in said(capsys, bundle, "--report", bundle)
    assert "no report: download the report's JSON" in said(capsys, bundle, "--report", other)


def test_the_right_two_files_are_judged(tmp_path, capsys, report):
    files = {"bundle": json.dumps(bundles.whole()).encode(), "report": rendered(report, "json")}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert bundles.main([str(tmp_path / "bundle"), "--report", str(tmp_path / "report")]) == 0
    assert "✓ report" in capsys.readouterr().out
