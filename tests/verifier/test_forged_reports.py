"""A report that claims less than its entries cost is refused, however it goes about it."""

import copy
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounting.dp.accountants import epsilon
from accounting.dp.currency import renyi
from accounting.dp.events import PrivacyEvent
from accounting.reports.build import Report, preview
from accounting.reports.scopes import Scope
from accounting.services import attesting
from accounting.services.rows import Draft, append, lock
from accounting.verifier.parts.renyi import ORDERS, admitted, converted
from tests.accounting import builders as b
from tests.accounting import world as w
from tests.accounting.test_report_claims import BOTH, chosen_on_the_way, event, spend

pytestmark = pytest.mark.django_db
Document = dict[str, Any]


@pytest.fixture
def study() -> Document:
    """Two institutions, two rounds each, nobody attests anything."""
    w.play(w.build())
    return preview(Scope("heart")).document


@pytest.fixture
def house() -> Document:
    """One institution that lent two datasets to a study each."""
    spend("one", event(1.4))
    spend("two", event(1.4))
    return preview(Scope(institution="cleveland")).document


def group_of(document: Document) -> Document:
    return document["parameters"]["across_institutions"][0]


def head(document: Document, claims: list[Document]) -> None:
    """Sentences that quote these groups in the right form."""
    first, document["statement"] = document["statement"][0], []
    document["parameters"]["across_institutions"] = claims
    for group in claims:
        figure = group[group["claimed"]]
        where = "at one institution" if group["claimed"] == BOTH[0] else "at all 2 of them"
        unit = {"row": "one row of data", "patient": "one patient"}[group["unit"]]
        terms = f"(ε = {figure['shown']}, δ = {figure['delta']}), by the {figure['accountant']}"
        said = f"For {unit} {where} by no more than {terms.replace('rdp', 'RDP')} accountant"
        said = said.replace("pld", "PLD")
        document["statement"].append({**first, "figure": figure, "sentence": said})


def shows_less(document: Document) -> None:
    group = group_of(document)
    group[group["claimed"]]["shown"] = "0.010"
    head(document, [group])


def shows_less_of_the_other(document: Document) -> None:
    group_of(document)[BOTH[0]]["shown"] = "0.010"


def a_third_reading(document: Document) -> None:
    group = group_of(document)
    group |= {"x": {**group[BOTH[1]], "epsilon": "0.01", "shown": "0.010"}, "claimed": "x"}
    head(document, [group])


def each_part_alone(document: Document) -> None:
    parts, claims = document["parameters"]["institutions"], []
    for part in parts:
        both = dict.fromkeys(BOTH, part["claimed"])
        alone = {"parts": [part["institution"]], "claimed": BOTH[0], **both}
        claims.append({**copy.deepcopy(group_of(document)), **alone})
    head(document, claims)


def one_part_twice(document: Document) -> None:
    group_of(document)["parts"].append(group_of(document)["parts"][0])


def no_part_at_all(document: Document) -> None:
    gone = document["parameters"]["institutions"].pop()
    group_of(document)["parts"].remove(gone["institution"])


def a_part_twice(document: Document) -> None:
    parts = document["parameters"]["institutions"]
    parts.append(parts[0])


def nothing_in_its_period(document: Document) -> None:
    """Says a period in which all fell, and tells of nothing."""
    document["report"]["scope"]["from"] = "1990-01-01"
    document["mechanisms"], document["releases"]["released"] = [], []
    free = epsilon((), 1e-3)
    nothing = {"epsilon": repr(free.epsilon), "shown": free.shown()}
    for part in document["parameters"]["institutions"]:
        part["certified"] = "no"
        for name in ("claimed", "spent", "second_opinion"):
            part[name].update(nothing)
    for name in BOTH:
        group_of(document)[name].update(nothing)
    head(document, [group_of(document)])


def no_scope(document: Document) -> None:
    document["report"]["scope"] = "the whole study"


def no_period(document: Document) -> None:
    document["report"]["scope"]["from"] = "tomorrow"


def another_study(document: Document) -> None:
    document["report"]["scope"]["study"] = "lungs"


def a_period_unsaid(document: Document) -> None:
    """The scope says a period, the sentence none."""
    document["report"]["scope"]["from"] = "1990-01-01"


def another_accountant(document: Document) -> None:
    line = document["statement"][0]
    line["sentence"] = line["sentence"].replace("PLD accountant", "PRV accountant")


def another_delta(document: Document) -> None:
    line = document["statement"][0]
    line["sentence"] = line["sentence"].replace("δ = 0.001", "δ = 0.0012")


def a_second_figure(document: Document) -> None:
    line = document["statement"][0]
    line["sentence"] = f"{line['sentence']} In all ε = 0.01."


def a_smaller_reach(document: Document) -> None:
    line = document["statement"][0]
    line["sentence"] = line["sentence"].replace("at all 2 institutions together", "at one")


FORGED = {
    shows_less: "it shows ε = 0.010",
    shows_less_of_the_other: "it shows ε = 0.010",
    a_third_reading: "none of its two readings",
    each_part_alone: "not all parts of one unit",
    one_part_twice: "or one of them twice",
    no_part_at_all: "has no part for zurich",
    a_part_twice: "tells of one part twice",
    nothing_in_its_period: "it leaves out entry",
    no_scope: "scope",
    no_period: "the period that it is about is none",
    another_study: "not that of its scope",
    a_period_unsaid: "about something else than its figure",
    another_accountant: "does not quote its own figure",
    another_delta: "does not quote its own figure",
    a_second_figure: "does not quote its own figure",
    a_smaller_reach: "about something else than its figure",
}


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_a_forged_report_of_a_study_is_refused(forge, study, judge):
    assert judge(study)[0] == 0
    forge(study)
    code, said = judge(study)
    assert code == 1
    assert FORGED[forge] in said


def test_a_unit_that_the_events_do_not_have_is_refused(house, judge):
    """Two datasets of one unit, which compose, told as of two, which do not."""
    assert judge(house)[0] == 0
    claims = []
    for part, unit in zip(house["parameters"]["institutions"], ("row", "patient"), strict=True):
        part["unit"] = unit
        part["claimed"]["unit"] = unit
        key = f"{part['institution']}/{part['lineage']}"
        both = dict.fromkeys(BOTH, part["claimed"])
        alone = {"unit": unit, "parts": [key], "claimed": BOTH[0], **both}
        claims.append({**copy.deepcopy(group_of(house)), **alone})
    head(house, claims)
    code, said = judge(house)
    assert code == 1
    assert "it claims a cost per patient, its events cost another unit" in said


def test_a_report_of_a_period_or_of_a_unit_holds(judge):
    w.play(w.build())
    day = preview(Scope("heart")).document["mechanisms"][0]["at"][:10]
    for narrowed in ({"from": day}, {"from": "2001-01-01", "to": "2001-01-02"}, {"to": day}):
        found = preview(Scope.read({"study": "heart", **narrowed})).document
        code, said = judge(found)
        assert code == 0, said
    for unit in ("patient", "row"):
        code, said = judge(preview(Scope.read({"unit": unit})).document)
        assert code == 0, said


def a_promise_after_all(document: Document) -> None:
    """What reports said before: all sealed before round 1, so all composed and claimed."""
    group_of(document)["odometer"] = ""
    head(document, [group_of(document)])


def a_promise_in_the_sentence(document: Document) -> None:
    head(document, [group_of(document)])


@pytest.mark.parametrize("forge", [a_promise_after_all, a_promise_in_the_sentence])
def test_over_several_studies_no_sum_is_promised(forge, house, judge):
    assert judge(house)[0] == 0
    forge(house)
    code, said = judge(house)
    assert code == 1
    assert "later plans" in said or "something else than its figure" in said


def beyond_its_plan() -> Report:
    """A study that reserved more at one institution than it had sealed there."""
    found = w.build()
    w.play(found)
    for number in (8, 9):
        b.reserve(b.key("cleveland", number), limit=w.BUDGET, protocol=found.study.protocol_digest)
    return preview(Scope("heart", "cleveland"))


@pytest.mark.parametrize("played", [chosen_on_the_way, beyond_its_plan])
def test_an_order_that_nothing_was_kept_at_is_refused(played, judge):
    """At another δ another order proves less; only the one sealed in advance may be used."""
    document = played().document
    assert judge(document)[0] == 0
    (part,) = document["parameters"]["institutions"]
    assert part["claimed"]["accountant"] == "rdp"
    limit = float(part["claimed"]["epsilon"])
    events = [PrivacyEvent.from_json(each) for each in next(iter(document["events"].values()))]
    found = [
        (converted(max(admitted(limit, 1e-3, order), renyi(events, order)), order, 1e-2), order)
        for order in map(float, ORDERS)
    ]
    least, order = min(found)
    assert f"order {order:g}," not in part["claimed"]["discretisation"]
    claim = {"epsilon": repr(least + 1e-9), "shown": f"{least + 1e-3:.3f}", "delta": "0.01"}
    part["claimed"] |= {**claim, "discretisation": f"order {order:g}, sealed in advance"}
    group = group_of(document)
    group |= {"delta": "0.01", **dict.fromkeys(BOTH, part["claimed"])}
    head(document, [group])
    code, said = judge(document)
    assert code == 1
    assert "at which nothing was kept" in said


def told(kind: str, **facts: Any) -> int:
    """Write a row about the study; returns its number."""
    with transaction.atomic():
        key = f"heart//{kind}/{facts['protocol_digest']}"
        draft = Draft(kind, key, "heart", "", "", facts=facts)
        return append(lock(), [draft], timezone.now())[0].sequence


def on_a_word(document: Document, row: Document) -> None:
    group = group_of(document)
    group |= {"claimed": BOTH[0], "attested_by": [row]}
    head(document, [group])
    line = document["statement"][0]
    line["sentence"] += f" as {row['name']} attests"


@pytest.mark.parametrize("late", [False, True])
def test_a_word_about_another_protocol_or_after_the_report_carries_nothing(late, judge):
    world = w.build()
    w.play(world)
    document = preview(Scope("heart")).document
    word = {"text": "disjoint", "name": "X", "institutions": ["cleveland", "zurich"], "by": "x"}
    digest = world.study.protocol_digest if late else "b" * 64
    number = told("attested", **word, protocol_digest=digest)
    if not late:
        document = preview(Scope("heart")).document
    on_a_word(document, {**word, "entry": number})
    code, said = judge(document)
    assert code == 1
    assert ("nobody attests" if late else "an attestation of another protocol") in said


@pytest.mark.parametrize("change", [{"name": "Nobody"}, {"text": "by another law"}])
def test_a_word_is_quoted_as_it_was_given(change, judge):
    world = w.build()
    w.play(world)
    attesting.attest(world.study, "disjoint by law", by=world.lead)
    document = preview(Scope("heart")).document
    assert judge(document)[0] == 0
    on_a_word(document, group_of(document)["attested_by"][0] | change)
    code, said = judge(document)
    assert code == 1
    assert "quotes an attestation otherwise" in said
