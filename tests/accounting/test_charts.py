"""The burn-down's figure: one line per different curve, the budget, the plan's end."""

import json

from accounting.charts import Curve, budget_name, burn_down, leading


def traces(figure):
    return {trace["name"]: trace for trace in figure["data"]}


def test_each_site_has_its_line_and_the_budget_is_dashed():
    curves = [Curve("A", ((1, 0.2), (2, 0.3))), Curve("B", ((1, 0.1),))]
    figure = burn_down(curves, rounds=4, budget=1.0)
    by_name = traces(figure)
    assert by_name["A"]["x"] == [0, 1, 2]
    assert by_name["B"]["y"] == [0.0, 0.1]
    assert by_name["budget ε = 1"]["line"]["dash"] == "dash"
    assert "sealed plan" not in by_name
    json.dumps(figure)


def test_the_plan_goes_on_from_where_most_was_spent():
    curves = [Curve("A", ((1, 0.1), (2, 0.2))), Curve("B", ((1, 0.25),))]
    assert leading(curves) == 1
    plan = traces(burn_down(curves, rounds=4, budget=1.0, ahead=[(2, 0.4), (4, 1.3)]))[
        "sealed plan"
    ]
    assert (plan["x"], plan["y"]) == ([1, 2, 4], [0.25, 0.4, 1.3])


def test_a_plan_above_its_budget_stays_in_the_picture():
    figure = burn_down([Curve("A", ())], rounds=2, budget=1.0, ahead=[(2, 1.5)])
    assert figure["layout"]["yaxis"]["range"][1] > 1.5


def test_the_lowest_of_several_budgets_is_called_so():
    assert budget_name([1.0, 1.0]) == budget_name([]) == "budget"
    name = budget_name([1.0, 3.0])
    figure = burn_down([Curve("A", ((1, 0.2),))], rounds=2, budget=1.0, name=name)
    assert "lowest budget ε = 1" in traces(figure)


def test_equal_curves_share_a_line():
    points = ((1, 0.2),)
    figure = burn_down([Curve("A", points), Curve("B", points)], rounds=1, budget=None)
    assert [trace["name"] for trace in figure["data"]] == ["2 institutions alike"]


def test_before_the_first_round_the_plan_is_drawn():
    figure = burn_down([Curve("A", ())], rounds=3, budget=1.0, ahead=[(1, 0.5), (3, 0.9)])
    assert [trace["name"] for trace in figure["data"]] == ["sealed plan", "budget ε = 1"]
    assert figure["data"][0]["x"] == [0, 1, 3]


def test_without_a_curve_there_is_no_plan_to_go_on():
    assert leading([]) is None
    assert burn_down([], rounds=3, budget=None, ahead=[(1, 0.5)])["data"] == []
