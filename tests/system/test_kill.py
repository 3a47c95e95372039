"""Kill −9 in the middle of a study: it finishes, and hub ledger and site journals agree."""

import os
import signal

import pytest

from tests.site.processes import eventually
from tests.system.running import start_simulation
from tests.system.small_study import SITE_EVALUATION, write_small_study

pytestmark = pytest.mark.system
ROUNDS = 16  # a round takes tenths of a second: it must not be over before the second kill


@pytest.mark.parametrize("victim", ["hub-worker", "site-site-a", "web", "valkey", "hub-clock"])
def test_a_killed_process_costs_time_and_nothing_else(tmp_path, victim):
    study = write_small_study(
        tmp_path / "study", letters="ab", rounds=ROUNDS, evaluation=SITE_EVALUATION
    )
    simulation = start_simulation(study, tmp_path / "installation")
    for number in (2, 4):
        simulation.wait_for_round(number)
        killed = simulation.pid(victim)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda killed=killed: simulation.pid(victim) != killed, f"{victim} again")
    output = simulation.finish()
    assert simulation.process.returncode == 0, output
    assert simulation.summary["ledger_ok"] is True
    assert simulation.summary["rounds"] == ROUNDS
    assert simulation.hub_charges() == simulation.site_charges()
    assert len(simulation.hub_charges()) == 2 * (ROUNDS + ROUNDS // 2)


def test_a_killed_command_leaves_no_process_behind(tmp_path):
    study = write_small_study(tmp_path / "study", letters="a", rounds=200)
    simulation = start_simulation(study, tmp_path / "installation")
    simulation.wait_for_round(1)
    pids = [simulation.pid(name) for name in ("valkey", "web", "hub-worker", "site-site-a")]
    simulation.process.kill()
    simulation.finish()
    eventually(lambda: not any(map(_alive, pids)), "no child outlives its supervisor")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
