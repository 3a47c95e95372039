"""Unlike machines in one study, every process real: each site makes and pays its own steps."""

import json

import pytest

from tests.system.running import site_journal, start_simulation
from tests.system.small_study import write_small_study

pytestmark = pytest.mark.system
SMALL = "max_grad_norm = 1.0\n[training.classes.small]\nlocal_steps = 1\nsample_rate = 0.25"


def test_a_small_machine_takes_part_by_its_own_plan(tmp_path):
    study = write_small_study(
        tmp_path / "study", rounds=2, privacy="target_epsilon = 4.0", lifetime=20
    )
    text = study.read_text().replace("max_grad_norm = 1.0", SMALL)
    study.write_text(text.replace('name = "Site a"', 'name = "Site a"\nmachine = "small"'))
    simulation = start_simulation(study, tmp_path / "installation")
    output = simulation.finish()
    assert simulation.process.returncode == 0, output
    assert simulation.summary["ledger_ok"] is True
    assert simulation.hub_charges() == simulation.site_charges()
    steps = {
        slug: {row["event"]["steps"] for row in rows if row["kind"] == "charged"}
        for slug in ("site-a", "site-b", "site-c")
        if (rows := site_journal(simulation.folder / "sites" / slug))
    }
    assert steps == {"site-a": {1}, "site-b": {2}, "site-c": {2}}
    assert all(3.9 < spent <= 4.0 for spent in simulation.summary["epsilon"].values())
    ((offer,),) = simulation.rows("select offer from studies_institution where slug = 'site-a'")
    assert json.loads(offer)["machine"] == "small"
