"""An adaptive study commits its whole budget when it starts: two never starve each other."""

import json

import pytest

from accounting.dp.currency import renyi
from accounting.dp.filters import best_order, divergence_limit, filling, whole_budget
from accounting.models import Entry
from accounting.selectors import commitments, histories, spending
from accounting.services import budgets, checkpoints
from accounting.services.hub_key import hub_key
from accounting.services.replay import Replay, Wrong
from accounting.services.verification import verify
from accounting.verifier import cloister_verify
from studies.services import studies
from studies.services.errors import NotReady
from tests.accounting import in_memory
from tests.federation.conftest import advance
from tests.federation.test_adaptive import ADAPTIVE

PLACE = ("zurich", "heart-1988")


def lend(sites, epsilon: str) -> None:
    for site in sites.values():
        dataset = {"name": "heart", "lineage": "heart-1988", "epsilon": epsilon, "delta": "1e-3"}
        budgets.declare(site.institution, [dataset])


def play(several, sites) -> None:
    for study in several:
        advance(study)
    for _ in range(40):
        for site in sites.values():
            while (task := site.take()) is not None:
                site.contribute(task)
        for study in several:
            advance(study)
    for study in several:
        study.refresh_from_db()


def of_kind(kind: str) -> dict:
    return json.loads(Entry.objects.filter(kind=kind, institution="zurich").latest("sequence").body)


def test_a_second_one_cannot_start_on_a_budget_that_is_committed(start, sites):
    """Each wants all of a lifetime of 3; before, both started and neither ended."""
    lend(sites, "3")
    first = start(**ADAPTIVE)
    with pytest.raises(NotReady, match="cannot start"):
        start(**ADAPTIVE | {"name": "Second"})
    left = spending.remaining(*PLACE)
    assert (left.spent, left.committed, left.left) == (0, pytest.approx(3.0), pytest.approx(0))
    assert of_kind("sealed")["figure"]["accountant"] == "rdp"
    assert float(of_kind("sealed")["figure"]["epsilon"]) == pytest.approx(3.0)
    play([first], sites)
    assert first.status == "completed"
    assert verify().ok


def test_two_that_fit_both_end(start, sites, tmp_path, capsys):
    lend(sites, "8")
    both = [start(**ADAPTIVE), start(**ADAPTIVE | {"name": "Second"})]
    play(both, sites)
    assert [study.status for study in both] == ["completed"] * 2
    assert verify().ok, verify().sentence()
    checkpoints.issue()
    file = tmp_path / "bundle.json"
    file.write_text(in_memory.text(scope={"kind": "ledger"}))
    code = cloister_verify.main([str(file), "--key", hub_key().public])
    assert code == 0, capsys.readouterr().out


def test_what_it_did_not_spend_comes_back(start, sites, lead):
    lend(sites, "3")
    first = start(**ADAPTIVE)
    advance(first)
    for site in sites.values():
        site.work()
    first.refresh_from_db()
    studies.withdraw(first, by=lead, reason="enough")
    sealed, returned = of_kind("sealed"), of_kind("returned")
    order = float(sealed["filter_order"])
    spent = renyi(histories.load(["zurich"]).dataset(*PLACE), order)
    assert float(sealed["bound"]) == divergence_limit(3.0, 1e-3, best_order(3.0, 1e-3))
    assert float(returned["rdp_returned"]) == pytest.approx(float(sealed["bound"]) - spent)
    assert returned["plan_left"] == []
    assert commitments.standing().plans == {}
    assert verify().ok


def test_the_demand_is_the_larger_of_bound_and_spent(start, sites):
    """While the study runs it holds the same room, however much of it is spent already."""
    lend(sites, "3")
    study = start(**ADAPTIVE)
    order, bound = float(of_kind("sealed")["filter_order"]), float(of_kind("sealed")["bound"])

    def demanded() -> float:
        return renyi(commitments.standing().demand(histories.load(), PLACE), order)

    assert demanded() == pytest.approx(bound)
    advance(study)
    for site in sites.values():
        site.work()
    assert demanded() == pytest.approx(bound)


@pytest.mark.parametrize("change", [{"bound": "0.5"}, {"bound": "9.0"}])
def test_another_bound_than_the_filters_is_found(start, sites, change):
    lend(sites, "8")
    start(**ADAPTIVE)
    bodies = [json.loads(row.body) for row in Entry.objects.order_by("sequence")]
    state, place = Replay(), [body["kind"] for body in bodies].index("sealed")
    for body in bodies[:place]:
        state.step(body)
    with pytest.raises(Wrong, match="does not commit"):
        state.step(bodies[place] | change)


def test_a_higher_order_never_commits_less():
    budget, own = (3.0, 1e-3), best_order(3.0, 1e-3)
    assert whole_budget(*budget, 2.0) == whole_budget(*budget, own)
    assert whole_budget(*budget, 2 * own) == 2 * whole_budget(*budget, own)


def test_the_step_that_fills_has_its_divergence():
    noise = filling(0.75, 4.6)
    assert 4.6 / (2 * noise**2) == pytest.approx(0.75)
