"""`manage.py epsilon` derives the figures of the pages, and nothing but them, from outside."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounting.dp.accountants import epsilon, names
from tests.dp.histories_drawn import sampled

SINGLE = ["--noise-multiplier", "1.1", "--sample-rate", "0.01", "--steps", "1000"]
DELTA = ["--delta", "1e-5"]


@pytest.fixture
def printed() -> Callable[..., str]:
    def call(*arguments: str) -> str:
        stdout = io.StringIO()
        call_command("epsilon", *arguments, stdout=stdout)
        return stdout.getvalue()

    return call


@pytest.mark.parametrize("accountant", names())
def test_json_is_one_object_at_full_precision(printed: Callable[..., str], accountant: str) -> None:
    document = json.loads(printed(*SINGLE, *DELTA, "--accountant", accountant, "--json"))
    figure = epsilon([sampled(1.1, 0.01, 1000)], 1e-5, accountant)
    assert document == {
        "epsilon": figure.epsilon,
        "delta": 1e-5,
        "accountant": accountant,
        "version": figure.version,
    }


def test_people_get_one_sentence(printed: Callable[..., str]) -> None:
    sentence = printed(*SINGLE, *DELTA)
    assert sentence.count("\n") == 1
    for part in ("ε = 1.516", "δ = 1e-05", "one row", "1000 steps", "cloister", "(PLD)"):
        assert part in sentence


def test_a_history_comes_from_a_file(printed: Callable[..., str], tmp_path: Path) -> None:
    rounds = [sampled(2.0, 0.064, 16), sampled(1.5, 0.064, 16), sampled(25.0, 1.0, 1)]
    path = tmp_path / "events.json"
    path.write_text(json.dumps([event.to_json() for event in rounds]), encoding="utf-8")
    document = json.loads(printed("--history", str(path), *DELTA, "--json"))
    assert document["epsilon"] == epsilon(rounds, 1e-5).epsilon


def test_a_history_comes_from_standard_input(
    printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[{"noise_multiplier": "1.1", "sample_rate": 0.01, "steps": 1000}]'
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert "ε = 1.516" in printed("--history", "-", *DELTA)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ([*DELTA], "--noise-multiplier, --sample-rate, --steps is missing"),
        ([*SINGLE[:4], *DELTA], "--steps is missing"),
        ([*SINGLE, "--delta", "0"], "delta is 0.0"),
        ([*SINGLE[:4], "--steps", "0", *DELTA], "steps is 0"),
        ([*SINGLE, "--history", "x.json", *DELTA], "not both"),
        (["--history", "no/such.json", *DELTA], "No such file"),
        ([*SINGLE, *DELTA, "--accountant", "gdp"], "invalid choice: 'gdp'"),
        ([*SINGLE], "--delta"),
    ],
)
def test_mistakes_get_advice(
    printed: Callable[..., str], arguments: list[str], advice: str
) -> None:
    with pytest.raises(CommandError, match=advice):
        printed(*arguments)
