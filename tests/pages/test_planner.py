"""The planner prices a study form as it is written, for leads, and tells no house's secrets."""

import re
import sys
from decimal import Decimal

import pytest
from django.urls import reverse

from accounting.models import DatasetBudget
from accounting.selectors import lending
from accounting.services import budgets
from federation.protocol import plans
from studies.models import Role
from studies.services import people, studies
from tests.pages.filled import filled
from tests.pages.markup import Page
from tests.studies.conftest import approve_all
from tests.studies.protocols import small_protocol

PLANNER = "/planner/"
NOISE = {"privacy-target_epsilon": "", "privacy-noise_multiplier": "2"}  # small_protocol's own
SHARED = {"planner-shared": "on", "planner-sites": "10", "planner-dropped": "1"}


@pytest.fixture
def ada(cast, browse):
    return browse(cast.ada)


@pytest.fixture
def lent(hospitals):
    """lent(ε): Cleveland lends heart-1988 for that much; again: another amount."""

    def lend(epsilon: str) -> DatasetBudget:
        offered = {"name": "heart", "lineage": "heart-1988", "epsilon": epsilon, "delta": "0.001"}
        DatasetBudget.objects.all().delete()
        return budgets.declare(hospitals.cleveland, [offered])[0]

    return lend


def asked(client, **changes: str) -> str:
    target = {"privacy-target_epsilon": "1", "privacy-noise_multiplier": ""}
    answer = client.post(PLANNER, filled(small_protocol(), **(target | changes)))
    assert answer.status_code == 200
    return answer.content.decode()


def answers(html: str) -> dict[str, str]:
    """House → the words in its row's last cell."""
    rows = re.findall(r'data-house="([\w-]+)".*?</th>\s*<td[^>]*>(.*?)</td>', html, re.S)
    return {house: re.sub(r"<[^>]+>", "", cell).strip() for house, cell in rows}


def test_the_noise_and_the_price_are_what_submission_seals(ada):
    privacy = small_protocol().privacy.model_copy(
        update={"target_epsilon": 1.0, "noise_multiplier": None}
    )
    sealed = plans.seal(small_protocol().model_copy(update={"privacy": privacy})).plan
    html = asked(ada)
    up = Decimal(sealed.epsilon).quantize(Decimal("0.001"), rounding="ROUND_CEILING")
    assert f"{sealed.noise_multipliers[0]:.5g}" in html
    assert f"ε = {up}" in html


def test_no_epsilon_stands_without_its_terms(ada, lent):
    lent("3")
    html = asked(ada, **SHARED)
    for words in ("δ = 0.001", "PLD accountant", "per row", "this study"):
        assert words in html
    assert html.count("ε = ") <= html.count("PLD accountant")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"privacy-target_epsilon": ""}, "Give a target ε, or the noise itself"),
        ({"privacy-noise_multiplier": "2"}, "one of both"),
        ({"training-sample_rate": "1.2"}, "above 0, up to 1"),
        ({"training-sample_rate": "0."}, "above 0, up to 1"),
        ({"rounds-count": ""}, "This field is required"),
        ({"rounds-count": "1e9"}, "Enter a whole number"),
        ({"rounds-count": "99999"}, "up to 10,000"),
        ({"privacy-target_delta": "1"}, "below 1"),
        ({"privacy-schedule": "custom", "privacy-shape": "1, 2, 3"}, "one number per round"),
        ({"privacy-schedule": "custom", "privacy-shape": "1, x"}, "is not a number"),
        ({"privacy-schedule": "custom", "privacy-shape": "1, -2"}, "not positive"),
        ({"evaluation-every": "1", "evaluation-noise_multiplier": ""}, "Noise of the histogram"),
        ({"privacy-epsilon_budget": "-1"}, "Budget ε per site"),
        (
            SHARED | {"planner-dropped": "9", "planner-colluding": "1"},
            "noise is left",
        ),
        (SHARED | {"planner-sites": "many"}, "whole numbers"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(ada, changed, said):
    html = asked(ada, **changed)
    assert "Still to fill in" in html
    assert said in html
    assert "ε = " not in html


def test_a_promise_that_no_noise_keeps_shows_no_number(ada):
    evaluated = {"evaluation-every": "1", "evaluation-noise_multiplier": "0.5"}
    html = asked(ada, **evaluated, **{"privacy-target_epsilon": "0.1"})
    assert "No noise keeps this promise" in html
    assert "already cost epsilon" in html
    assert "figure-large" not in html


def test_a_history_without_a_bound_shows_no_number(ada):
    noise = {"privacy-target_epsilon": "", "privacy-noise_multiplier": "0.000002"}
    html = asked(ada, **noise)
    assert "could not" in html
    assert "figure-large" not in html


def test_the_budget_tells_how_many_rounds_it_holds(ada):
    rounds = {"rounds-count": "20", "privacy-target_epsilon": "2"}
    assert "all 20" in asked(ada, **rounds)
    html = asked(ada, **rounds, **{"privacy-epsilon_budget": "1"})
    held = int(re.search(r"(\d+) of 20", html)[1])
    assert 3 < held < 8  # ε grows like the root of the rounds, at first
    assert "none" in asked(ada, **rounds, **{"privacy-epsilon_budget": "0.001"})


def test_another_houses_figures_are_never_told(ada, lent):
    lent("2.7183")
    html = asked(ada)
    assert answers(html) == {"cleveland": "Fits", "budapest": "Ask the site"}
    for secret in ("heart-1988", "2.718", "left now", "lifetime, all studies"):
        assert secret not in html


def test_trying_does_not_find_another_houses_budget(ada, lent):
    """Budgets a few per cent apart answer every plan alike: the words come in coarse steps."""
    tried = [{"privacy-target_epsilon": str(target)} for target in (0.5, 1, 1.5, 2, 3, 4, 6, 9)]
    told = []
    for epsilon in ("3", "3.1"):
        lent(epsilon)
        told.append([answers(asked(ada, **plan))["cleveland"] for plan in tried])
    assert told[0] == told[1]
    assert {"Fits", "Does not fit"} <= set(told[0])


def test_a_lead_of_the_house_reads_its_figures(ada, lent, cast, hospitals):
    people.grant(cast.ada, Role.SITE_ADMIN, hospitals.cleveland)
    lent("3")
    html = asked(ada, **NOISE)
    plan = plans.plan_events(plans.seal(small_protocol()))
    row = lending.prospects("another", "cleveland", plan)[0]
    assert f"left after it {row.shown_left_after}" in html
    assert "heart-1988" in html
    assert answers(html) == {"cleveland": "all 2", "budapest": "Ask the site"}
    lent("0.5")
    assert answers(asked(ada))["cleveland"] in ("none", "1 of 2")


def test_other_studies_on_the_data_count(ada, lent, cast, hospitals):
    lent("3")
    people.grant(cast.ada, Role.SITE_ADMIN, hospitals.cleveland)
    budgets.declare(
        hospitals.budapest,
        [{"name": "heart", "lineage": "heart-1988", "epsilon": "9", "delta": "0.001"}],
    )
    before = asked(ada)
    study = studies.submit(studies.create(protocol=small_protocol(), by=cast.ada), by=cast.ada)
    approve_all(study, cast)
    studies.start(study, by=cast.ada)
    html = asked(ada)
    assert f"also used by {study.slug}" in html
    assert "Rényi filter" in html
    assert "also used by" not in before
    left = [Decimal(re.search(r"left now ([\d.]+)", each)[1]) for each in (before, html)]
    assert left[1] < left[0]


def test_another_privacy_unit_never_fits(ada, lent, cast, hospitals):
    lent("30")
    budgets.declare(
        hospitals.budapest,
        [{"name": "heart", "lineage": "heart-1988", "epsilon": "9", "delta": "0.001"}],
    )
    study = studies.submit(studies.create(protocol=small_protocol(), by=cast.ada), by=cast.ada)
    approve_all(study, cast)
    studies.start(study, by=cast.ada)
    patients = {"data-unit": "patient"}
    assert answers(asked(ada, **patients))["cleveland"] == "Ask the site"
    people.grant(cast.ada, Role.SITE_ADMIN, hospitals.cleveland)
    html = asked(ada, **patients)
    assert answers(html)["cleveland"] == "none"
    assert "Charged per row" in html


def test_a_study_that_is_revised_does_not_count_against_itself(ada, approved, lent):
    html = asked(ada, **{"planner-study": approved.slug})
    assert set(answers(html)) == {"cleveland", "budapest"}


def test_nobody_asks_in_the_name_of_another_leads_study(browse, cast, submitted):
    posted = filled(small_protocol(), **{"planner-study": submitted.slug})
    assert browse(cast.boris).post(PLANNER, posted).status_code == 404
    assert browse(cast.ada).post(PLANNER, posted).status_code == 200
    assert browse(cast.carla).post(PLANNER, posted).status_code == 403


def test_shared_noise_is_priced_three_ways_and_called_planned(ada):
    html = asked(ada, **SHARED, **{"planner-colluding": "2", "privacy-target_epsilon": "1"})
    table = html[html.index("Planned, not yet available to run") :]
    outside, hub, alone = [
        float(n) for n in re.findall(r'<td class="num">([\d.]+)</td>', table)[:3]
    ]
    assert outside < hub < alone
    assert 0.99 <= hub <= 1.0
    assert "7 of 10" in html  # without the one that drops out and the two that tell


def test_noise_that_is_chosen_on_the_way_is_an_odometer(ada):
    adaptive = {"privacy-schedule": "adaptive", "rounds-count": "5"}
    html = asked(ada, **adaptive)
    assert "An odometer, no sealed plan" in html
    assert "needs one" in asked(ada, **adaptive, **NOISE)


@pytest.mark.parametrize(("budget", "bound"), [("", "1"), ("1.7", "1.7")])
def test_what_is_chosen_on_the_way_is_headed_by_its_bound(ada, budget, bound):
    """What the start alone would cost is less than what may be spent: no headline."""
    adaptive = {"privacy-schedule": "adaptive", "rounds-count": "5"}
    html = asked(ada, **adaptive, **{"privacy-epsilon_budget": budget})
    large = re.findall(r'figure-large">(ε[^<]*)', html)
    assert large == [f"ε ≤ {bound}"]
    terms = "δ = 0.001 · Rényi (RDP) accountant · per row · this study"
    for where in ("data-planner-line", large[0]):
        assert terms in html[html.index(where) :][:250]
    start = Decimal(re.findall(r'<td class="num">([\d.]+)</td>', html)[-2])
    assert start < Decimal(bound)
    assert f"ε = {start}" not in html


def test_the_lifetime_is_told_by_the_bound_too(ada, lent, cast, hospitals):
    people.grant(cast.ada, Role.SITE_ADMIN, hospitals.cleveland)
    lent("3")
    adaptive = {"privacy-schedule": "adaptive", "rounds-count": "5"}
    least = Decimal(re.search(r"left after it, at least ([\d.]+)", asked(ada, **adaptive))[1])
    start = Decimal(re.search(r"left after it ([\d.]+)", asked(ada, **{"rounds-count": "5"}))[1])
    assert 0 < least < start < 3
    lent("0.5")
    assert "its own filter ends the study" in asked(ada, **adaptive)


def test_the_lid_carries_the_terms_of_its_price(ada):
    line = re.search(r"data-planner-line>(.*?)</p>", asked(ada))[1]
    assert "ε = 1.000 · δ = 0.001 · PLD accountant · per row · this study · noise" in line


def test_what_is_hardly_meant_is_said(ada):
    html = asked(ada, **{"privacy-target_epsilon": "12", "privacy-target_delta": "0.2"})
    assert set(re.findall(r'data-doubt="([\w.]+)"', html)) == {
        "privacy.target_epsilon",
        "privacy.target_delta",
    }


def test_the_answer_and_both_pages_are_well_formed(ada, lent, submitted):
    lent("3")
    html = asked(ada, **SHARED)
    assert Page(html).all_faults() == []
    for page in ("/new-study/", reverse("study-edit", args=(submitted.slug,))):
        whole = ada.get(page).content.decode()
        assert Page(whole + html).all_faults() == []
        assert 'hx-post="/planner/"' in whole
    assert f'name="planner-study" value="{submitted.slug}"' in whole


def test_only_a_form_is_priced(ada):
    assert ada.get(PLANNER).status_code == 405


def test_a_plan_that_takes_long_is_sketched_and_then_replaced(ada, lent):
    """The page asks again by itself; what it shows meanwhile is proven and says by whom."""
    lent("10")
    rare = {"training-sample_rate": "0.0001", "privacy-schedule": "harmonic", "rounds-count": "60"}
    first = asked(ada, **rare)
    assert "A first bound" in first
    assert "planner-refined" in first
    assert "Rényi" in re.search(r"data-planner-line>(.*?)</p>", first).group(1)
    second = asked(ada, **rare, **{"planner-refined": "on"})
    assert "A first bound" not in second
    assert "planner-refined" not in second
    noises = [
        float(re.search(r'figure-large">([\d.]+)', html).group(1)) for html in (first, second)
    ]
    assert noises[0] > noises[1]


def test_a_sketch_that_proves_nothing_waits_for_the_reference(ada):
    hopeless = {"rounds-count": "10000", "training-local_steps": "1000000"}
    first = asked(ada, **hopeless, **{"training-sample_rate": "1"})
    assert "No noise keeps this promise" in first or "Being priced" in first
    second = asked(ada, **hopeless, **{"training-sample_rate": "1", "planner-refined": "on"})
    assert "No noise keeps this promise" in second


def worked_out() -> dict[str, int]:
    """How often each function of the accountants that remembers its answers had to find one."""
    loaded = [module for name, module in sys.modules.items() if name.startswith("accounting.dp.")]
    found = {f"{each.__module__}.{each.__qualname__}": each for m in loaded for each in caches(m)}
    return {name: each.cache_info().misses for name, each in found.items()}


def caches(module):
    return [each for each in vars(module).values() if hasattr(each, "cache_info")]


def test_a_position_seen_before_is_free(ada, lent):
    lent("3")
    plan = {"rounds-count": "97", "privacy-schedule": "harmonic"}
    before = worked_out()
    asked(ada, **plan)
    once = worked_out()
    assert once["accounting.dp.planning.sketch"] > before["accounting.dp.planning.sketch"]
    asked(ada, **plan)
    assert worked_out() == once
