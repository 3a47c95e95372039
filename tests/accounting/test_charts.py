"""The burn-down's figure: one line per different curve, the budget, the plan's end."""

import json

from accounting.charts import Curve, burn_down


def test_each_site_has_its_line_and_the_budget_is_dashed():
    curves = [Curve("A", ((1, 0.2), (2, 0.3))), Curve("B", ((1, 0.1),))]
    figure = burn_down(curves, rounds=4, budget=1.0, planned=0.6)
    by_name = {trace["name"]: trace for trace in figure["data"]}
    assert by_name["A"]["x"] == [0, 1, 2]
    assert by_name["B"]["y"] == [0.0, 0.1]
    assert by_name["budget ε = 1"]["line"]["dash"] == "dash"
    assert by_name["sealed plan"]["x"] == [2, 4]
    assert by_name["sealed plan"]["y"] == [0.3, 0.6]
    json.dumps(figure)


def test_equal_curves_share_a_line():
    points = ((1, 0.2),)
    figure = burn_down([Curve("A", points), Curve("B", points)], rounds=1, budget=None, planned=0.2)
    assert [trace["name"] for trace in figure["data"]] == ["2 institutions alike"]


def test_before_the_first_round_the_plan_is_drawn():
    figure = burn_down([Curve("A", ())], rounds=3, budget=1.0, planned=0.9)
    assert [trace["name"] for trace in figure["data"]] == ["sealed plan", "budget ε = 1"]
    assert figure["data"][0]["x"] == [0, 3]
