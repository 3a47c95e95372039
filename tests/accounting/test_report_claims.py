"""What a report claims: one sentence per unit at one δ, attested or composed, never a sum so far.

Each is judged by the stand-alone verifier, too.
"""

import csv
import io
import re

import pytest
from pypdf import PdfReader

from accounting.canonical import canonical_json
from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.keys import Limit
from accounting.reports.build import Report, preview
from accounting.reports.pdf.document import pdf_bytes
from accounting.reports.scopes import Scope
from accounting.reports.table import csv_text
from accounting.services import attesting, checkpoints
from accounting.services.hub_key import hub_key
from accounting.verifier import cloister_verify
from tests.accounting import builders as b
from tests.accounting import in_memory
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
LIMIT = Limit(3.0, 1e-3)
BOTH = ("if_no_person_is_at_two", "if_a_person_may_be_at_all")


def event(noise: float, unit: str = "row") -> PrivacyEvent:
    return PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, 0.1, 8, 0.5, 30.0, unit=unit)


def spend(lineage: str, what: PrivacyEvent, delta: str = "1e-3") -> None:
    """A study of its own, sealed, on a dataset of its own."""
    b.lend("cleveland", lineage, "3.0", delta)
    b.ledger.seal(
        study=f"of-{lineage}",
        institution="cleveland",
        lineage=lineage,
        plan_events=[what],
        protocol_digest=b.PROTOCOL,
        unit=what.unit,
        study_limit=LIMIT,
    )
    b.reserve(b.key(study=f"of-{lineage}", lineage=lineage), what, LIMIT)


@pytest.fixture(autouse=True)
def _key(settings, tmp_path):
    settings.HUB_KEY_FILE = tmp_path / "hub.key"


@pytest.fixture
def judge(tmp_path, capsys):
    """What the verifier says of a report, against everything that the ledger holds."""

    def judged(document: dict) -> tuple[int, str]:
        checkpoints.issue()
        ledger, report = tmp_path / "bundle.json", tmp_path / "report.json"
        ledger.write_text(in_memory.text(scope={"kind": "ledger"}))
        report.write_text(canonical_json(document))
        options = [str(ledger), "--key", hub_key().public, "--report", str(report)]
        return cloister_verify.main(options), capsys.readouterr().out

    return judged


def of(scope: Scope) -> tuple[Report, list[dict], list[dict]]:
    report = preview(scope)
    spent = report.document["parameters"]
    return report, report.document["statement"], spent["across_institutions"]


def test_parts_of_different_delta_are_judged_anew_at_the_smallest(judge):
    spend("strict", event(3.5), "1e-6")
    spend("loose", event(1.4), "0.01")
    report, (said,), (group,) = of(Scope(institution="cleveland"))
    assert group["delta"] == said["figure"]["delta"] == "1e-06"
    assert group[BOTH[0]]["shown"] == epsilon([event(1.4)], 1e-6).shown() == "1.670"
    together = epsilon([event(3.5), event(1.4)], 1e-6).shown()
    assert group[BOTH[1]]["shown"] == said["figure"]["shown"] == together
    assert f"(ε = {together}, δ = 1e-06)" in said["sentence"]
    assert (
        "at all 2 datasets together nothing is promised: no filter joins them" in said["sentence"]
    )
    assert "by no more than" not in said["sentence"]
    assert said["reading"] == ""
    later = "odometer: the later plans may have been chosen after earlier results"
    assert group["odometer"] == later
    assert report.document["accounting"]["parameters"].endswith(f"of all together an {later}")
    assert f"claimed is neither (the second is an {later})" in pdf_words(report).lower()
    assert later in csv_text(report)
    assert judge(report.document)[0] == 0


def test_units_are_never_composed_and_each_has_its_sentence(judge):
    spend("rows", event(1.4))
    spend("people", event(2.5, "patient"))
    report, said, groups = of(Scope(institution="cleveland"))
    assert [group["unit"] for group in groups] == ["patient", "row"]
    for line, unit, noise in zip(said, ("patient", "row"), (2.5, 1.4), strict=True):
        assert line["sentence"].startswith(f"For one {unit}")
        assert line["figure"]["shown"] == epsilon([event(noise)], 1e-3).shown()
    assert judge(report.document)[0] == 0


def test_an_attestation_decides_what_is_claimed(judge):
    world = w.build()
    w.play(world)
    found = [of(Scope("heart"))]
    attesting.attest(world.study, "disjoint by law", by=world.lead)
    found.append(of(Scope("heart")))
    attesting.withdraw(world.study, "not so", by=world.lead)
    found.append(of(Scope("heart")))
    figures = [statements[0]["figure"]["shown"] for _, statements, _ in found]
    assert figures == [found[0][2][0][reading]["shown"] for reading in (BOTH[1], BOTH[0], BOTH[1])]
    assert float(figures[1]) < float(figures[0])
    sentences = [statements[0]["sentence"] for _, statements, _ in found]
    assert "nobody is at two institutions, as Lena attests" in sentences[1]
    assert "at all 2 institutions together" in sentences[0]
    assert "nobody attests that it is at one of them only" in sentences[0]
    assert sentences[0] == sentences[2]
    for report, _, (group,) in found:
        assert {figure["delta"] for figure in map(group.get, BOTH)} == {"0.001"}
        assert judge(report.document)[0] == 0


def chosen_on_the_way() -> Report:
    """A second study, sealed nowhere, on the dataset of the first."""
    world = w.build()
    w.play(world)
    b.whole_round(b.key("cleveland", study="lungs"))
    return preview(Scope(institution="cleveland"))


def test_of_what_was_chosen_on_the_way_the_bound_is_claimed(judge):
    report = chosen_on_the_way()
    (part,) = report.document["parameters"]["institutions"]
    assert (part["claimed"]["shown"], part["claimed"]["accountant"]) == ("3.000", "rdp")
    assert float(part["spent"]["epsilon"]) < 3.0
    assert float(part["remaining"]) == pytest.approx(3 - float(part["spent"]["epsilon"]), abs=1e-3)
    assert "its 1." in part["odometer"]
    assert part["second_opinion"] is None
    assert all(row["odometer"] for row in part["by_study"])
    assert judge(report.document)[0] == 0


def test_every_rendering_says_the_same():
    report = chosen_on_the_way()
    (line,), (part,) = report.document["statement"], report.document["parameters"]["institutions"]
    rows = list(csv.reader(io.StringIO(csv_text(report))))
    assert ["statement", line["sentence"]] in rows
    (row,) = [row for row in rows if row[:2] == ["Cleveland", "heart"]]
    assert row[2:7] == ["3.0", "3.000", "0.001", "rdp", "patient"]
    assert row[-2:] == [part["spent"]["shown"], part["odometer"]]
    assert ["if_a_person_may_be_at_all", "patient", "0.001", "3.0", "3.000", "rdp", "no"] in rows
    flat = pdf_words(report)
    assert line["sentence"] in flat
    assert "an odometer: it may be shown, not claimed" in flat
    assert f"ε = {part['spent']['shown']} at δ = 0.001 (RDP, one patient) so far" in flat


def pdf_words(report: Report) -> str:
    pages = PdfReader(io.BytesIO(pdf_bytes(report))).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


def lower(figure: dict, shown: str = "0.200") -> None:
    figure.update(epsilon="0.2", shown=shown)


def sum_so_far(document: dict) -> None:
    """Claims the odometer, and quotes it."""
    part = document["parameters"]["institutions"][0]
    document["parameters"]["across_institutions"][0].update(dict.fromkeys(BOTH, part["spent"]))
    part["claimed"] = part["spent"]
    quoted(document)


def tight(document: dict) -> None:
    """Claims what PLD would say."""
    part = document["parameters"]["institutions"][0]
    events = [PrivacyEvent.from_json(e) for e in document["events"]["cleveland/heart"]]
    found = epsilon(events, 1e-3)
    part["claimed"].update(
        epsilon=repr(found.epsilon), shown=found.shown(), accountant="pld", discretisation=""
    )


def quoted(document: dict) -> None:
    (group,), (line,) = document["parameters"]["across_institutions"], document["statement"]
    figure, before = group[group["claimed"]], line["figure"]
    line["figure"] = figure
    line["sentence"] = line["sentence"].replace(f"ε = {before['shown']}", f"ε = {figure['shown']}")


@pytest.mark.parametrize("forge", [sum_so_far, tight])
def test_the_verifier_takes_no_odometer_for_a_claim(forge, judge):
    document = chosen_on_the_way().document
    assert judge(document)[0] == 0
    forge(document)
    code, said = judge(document)
    assert code == 1
    assert "of cleveland it claims" in said


def one_without_a_word(document: dict) -> None:
    document["parameters"]["across_institutions"][0]["claimed"] = BOTH[0]
    quoted(document)


def another_delta(document: dict) -> None:
    document["parameters"]["across_institutions"][0][BOTH[0]]["delta"] = "0.01"


def too_little_together(document: dict) -> None:
    lower(document["parameters"]["across_institutions"][0][BOTH[1]])
    quoted(document)


def nothing_of_one(document: dict) -> None:
    document["parameters"]["across_institutions"][0]["parts"].pop()


def another_sentence(document: dict) -> None:
    line = document["statement"][0]
    line["sentence"] = line["sentence"].replace("ε = ", "ε < ")


FORGED = {
    one_without_a_word: "nobody attests",
    another_delta: "at one δ with an ε at another",
    too_little_together: "its events cost at least",
    nothing_of_one: "claims nothing of",
    another_sentence: "does not quote its own figure",
}


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_the_verifier_finds_a_claim_that_is_not_carried(forge, judge):
    w.play(w.build())
    document = preview(Scope("heart")).document
    assert judge(document)[0] == 0
    forge(document)
    code, said = judge(document)
    assert code == 1
    assert FORGED[forge] in said


def test_an_attestation_that_was_withdrawn_carries_nothing(judge):
    world = w.build()
    w.play(world)
    attesting.attest(world.study, "disjoint by law", by=world.lead)
    attested = preview(Scope("heart")).document["parameters"]["across_institutions"][0]
    attesting.withdraw(world.study, "not so", by=world.lead)
    document = preview(Scope("heart")).document
    document["parameters"]["across_institutions"] = [attested]
    quoted(document)
    code, said = judge(document)
    assert code == 1
    assert "an attestation that was withdrawn" in said
