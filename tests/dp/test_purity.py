"""The mathematics runs where Django and torch cannot be imported at all, and says no more."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "torch", "opacus", "celery", "dp_accounting"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Refuse())
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_figures_need_neither_django_nor_torch_nor_others_accountants(accountant: str) -> None:
    answer = run(
        "from accounting.dp import calibration, filters, histories, schedules\n"
        "from accounting.dp.accountants import epsilon\n"
        f"print(epsilon([histories.event(1.1, 0.01, 10)], 1e-5, {accountant!r}).epsilon > 0)"
    )
    assert answer == "True"


def test_the_second_opinion_is_listed_without_being_imported() -> None:
    answer = run(
        "from accounting.dp import accountants\n"
        "print('prv' in accountants.names(), 'accounting.dp.accountants.prv' in sys.modules)"
    )
    assert answer == "True False"


def test_events_are_light() -> None:
    """A site parses assignments before it needs any mathematics."""
    answer = run("import accounting.dp.events\nprint('numpy' in sys.modules)")
    assert answer == "False"


def test_the_package_itself_imports_nothing() -> None:
    answer = run("import accounting, accounting.dp\nprint('accounting.dp.events' in sys.modules)")
    assert answer == "False"
