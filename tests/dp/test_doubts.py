"""What is allowed and hardly meant is said in one sentence, with the key that would mend it."""

import pytest

from accounting.dp.doubts import Terms, doubts

SOUND = {"delta": 1e-4, "sample_rate": 0.2, "cohorts": (300, 500), "epsilon": 1.0}
KEYS = ("privacy.target_delta", "privacy.target_epsilon", "training.sample_rate")


def keys(**changed: object) -> list[str]:
    return [doubt.key for doubt in doubts(Terms(**(SOUND | changed)))]


def test_a_sound_plan_is_not_doubted() -> None:
    assert keys(noise=(5.0,) * 10) == []
    assert doubts(Terms(delta=1e-3, sample_rate=0.5)) == []  # nothing known yet


@pytest.mark.parametrize(
    ("changed", "key", "said"),
    [
        ({"delta": 1 / 300}, KEYS[0], "well below 1/300"),
        ({"epsilon": 10.01}, KEYS[1], "weak"),
        ({"sample_rate": 0.001}, KEYS[2], "find nobody"),
        ({"sample_rate": 0.01}, KEYS[2], "about 3 units"),
        ({"noise": (500.0,) * 3}, KEYS[1], "every round is mostly noise"),
        ({"noise": (5.0, 50.0, 120.0, 130.0)}, "privacy.schedule", "rounds 3 to 4 are mostly"),
    ],
)
def test_each_rule_names_its_key(changed: dict[str, object], key: str, said: str) -> None:
    found = doubts(Terms(**(SOUND | changed)))
    assert [doubt.key for doubt in found] == [key]
    assert said in str(found[0])
    assert str(found[0]).startswith(key)


def test_a_first_round_that_takes_nearly_all_is_doubted() -> None:
    assert keys(noise=(5.0,) * 10, first=0.81) == ["privacy.schedule"]
    assert keys(noise=(5.0,) * 10, first=0.79) == []
    assert keys(noise=(5.0,) * 3, first=0.9) == []  # of three rounds one may


def test_delta_just_below_one_over_the_smallest_site_is_accepted() -> None:
    assert keys(delta=0.999 / 300) == []


def test_a_loud_round_before_quiet_ones_is_the_leads_choice() -> None:
    assert keys(noise=(500.0, 5.0)) == []
