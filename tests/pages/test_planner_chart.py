"""The planner's chart holds exactly the numbers of its table and its budgets."""

from accounting.charts_planner import Line, outlook

STUDY = Line("this study", 0.0, ((1, 0.4), (5, 1.0)), 1.0)
LIFETIME = Line("heart", 0.7, ((1, 0.9), (5, 1.4)), 3.0)
NAIVE = ((1, 0.4), (5, 2.0))
NOISE = (2.0, 2.5, 3.0, 3.5, 4.0)


def drawn(*lines: Line, naive=NAIVE, noise=NOISE) -> dict[str, dict]:
    return {trace["name"]: trace for trace in outlook(lines, noise, naive)["data"]}


def test_every_line_starts_at_what_was_spent_before():
    traces = drawn(STUDY, LIFETIME)
    assert (traces["this study"]["x"], traces["this study"]["y"]) == ([0, 1, 5], [0.0, 0.4, 1.0])
    assert traces["heart"]["y"] == [0.7, 0.9, 1.4]


def test_each_budget_is_a_level_of_its_own():
    traces = drawn(STUDY, LIFETIME)
    assert traces["budget of this study: 1"]["y"] == [1.0, 1.0]
    assert traces["budget of heart: 3"]["y"] == [3.0, 3.0]
    assert traces["budget of heart: 3"]["line"]["color"] == traces["heart"]["line"]["color"]


def test_a_budget_far_away_does_not_flatten_the_plan():
    figure = outlook([STUDY, Line("heart", 0.0, ((5, 0.9),), 50.0)], NOISE, NAIVE)
    assert "budget of heart: 50" not in {trace["name"] for trace in figure["data"]}
    assert figure["layout"]["yaxis"]["range"][1] < 2


def test_the_sum_runs_out_of_the_picture():
    figure = outlook([STUDY], NOISE, ((1, 0.4), (5, 40.0)))
    assert figure["layout"]["yaxis"]["range"][1] < 2
    assert drawn(STUDY)["added up (wrong)"]["y"] == [0, 0.4, 2.0]


def test_the_noise_stands_below_round_by_round():
    trace = drawn(STUDY)["noise"]
    assert (trace["x"], trace["y"], trace["yaxis"]) == ([1, 2, 3, 4, 5], list(NOISE), "y2")
    assert drawn(STUDY, noise=(2.0,))["noise"]["y"] == [2.0, 2.0]


def test_lines_differ_in_more_than_colour():
    traces = drawn(STUDY, LIFETIME)
    assert traces["heart"]["marker"]["symbol"] != traces["this study"]["marker"]["symbol"]
