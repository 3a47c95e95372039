"""`manage.py simulate` on files a person might bring."""

import csv
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.system.running import ROOT, environment, start_simulation
from tests.system.small_study import write_small_study

pytestmark = pytest.mark.system

PATIENTS = """
[study]
name = "Readmission"

[data]
unit = "patient"
patient_column = "person no"
max_rows_per_patient = 4
[[data.column]]
name = "age at visit"
low = 0
high = 120
missing = "indicator"
[[data.column]]
name = "ward"
kind = "category"
categories = ["A", "B", "C"]
missing = "category"
[data.target]
column = "readmitted"
classes = [["no"], ["yes"]]

[model]
architecture = "mlp"
[model.parameters]
hidden = [8]

[training]
sample_rate = 0.2
local_steps = 3
learning_rate = 0.5
max_grad_norm = 1.0
initialisation = "seeded"

[privacy]
target_epsilon = 4.0
target_delta = 1e-4
schedule = "harmonic"

[rounds]
count = 3

[evaluation]
every = 3
holdout = 0.2
noise_multiplier = 3.0
"""
INSTITUTION = """
[[institution]]
name = "{name}"
data = "{name}.csv"
cohort_size = 150
[institution.limits]
lifetime_epsilon = 8
lifetime_delta = 1e-4
"""


def test_patients_with_several_rows_missing_values_categories_and_a_rare_class(tmp_path):
    text = PATIENTS
    for name in ("north", "south", "west"):
        _visits(tmp_path / f"{name}.csv", name)
        text += INSTITUTION.format(name=name)
    study = tmp_path / "study.toml"
    study.write_text(text)
    simulation = start_simulation(study, tmp_path / "installation")
    output = simulation.finish()
    assert simulation.process.returncode == 0, output
    summary = simulation.summary
    assert summary["ledger_ok"] is True
    assert summary["unit"] == "patient"
    assert set(summary["epsilon"]) == {"north", "south", "west"}
    assert all(3.9 < value <= 4.0 for value in summary["epsilon"].values())
    multipliers = summary["noise_multipliers"]
    assert multipliers == sorted(multipliers)
    assert len(set(multipliers)) == 3


def _visits(path, seed):
    source = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person no", "age at visit", "ward", "remark", "readmitted"])
        for person in range(150):
            for _ in range(source.randint(1, 6)):
                age = "" if source.random() < 0.1 else source.randint(18, 95)
                ward = source.choice(["A", "B", "C", ""])
                readmitted = "yes" if source.random() < 0.02 else "no"
                writer.writerow([f"p{person}", age, ward, "not used", readmitted])


def test_a_lifetime_budget_below_the_plan_refuses_the_start_with_the_reason(tmp_path):
    study = write_small_study(tmp_path / "study", letters="ab", rounds=30, lifetime=2.0)
    simulation = start_simulation(study, tmp_path / "installation")
    output = simulation.finish()
    assert simulation.process.returncode == 1, output
    summary = simulation.summary
    assert (summary["status"], summary["rounds"]) == ("submitted", 0)
    assert summary["ledger_ok"] is True
    assert all(value == 0 for value in summary["epsilon"].values())
    assert "does not hold the whole plan" in summary["reason"]
    assert summary["reason"] in output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sample_rate = 0.5", "sample_rate = 1.5", "training.sample_rate"),
        ("sample_rate = 0.5", "sample_rat = 0.5", "sample_rate"),
        ('architecture = "logistic"', 'architecture = "logistics"', "logistic"),
        ('data = "a.csv"', 'data = "missing.csv"', "missing.csv"),
    ],
)
def test_a_mistake_gets_one_message_with_key_and_line(tmp_path, old, new, said):
    study = write_small_study(tmp_path / "study")
    text = study.read_text()
    assert old in text
    study.write_text(text.replace(old, new, 1))
    line = 1 + study.read_text().split(new)[0].count("\n")
    result = subprocess.run(
        [sys.executable, "manage.py", "simulate", str(study)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert said in result.stderr
    assert f"line {line}" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_data_that_does_not_fit_is_told_before_anything_starts(tmp_path):
    study = write_small_study(tmp_path / "study", letters="ab")
    data = tmp_path / "study" / "b.csv"
    data.write_text(data.read_text().replace("pressure", "blood pressure", 1))
    simulation = start_simulation(study, tmp_path / "installation")
    output = simulation.finish()
    assert simulation.process.returncode == 1
    assert "institution[2].data" in output
    assert "pressure" in output
    assert len(output.strip().splitlines()) == 1
    assert not simulation.folder.exists()


def test_other_data_than_csv_are_read_to_the_last_row_before_anything_starts(tmp_path):
    study = write_small_study(tmp_path / "study", letters="ab")
    study.write_text(study.read_text().replace('"b.csv"', '"b.parquet"'))
    rows = pyarrow.csv.read_csv(tmp_path / "study" / "b.csv")
    last = rows.slice(len(rows) - 1).to_pylist()[0] | {"age": 101}
    rows = pa.concat_tables([rows, pa.Table.from_pylist([last], rows.schema)])
    pq.write_table(rows, tmp_path / "study" / "b.parquet")
    simulation = start_simulation(study, tmp_path / "installation")
    output = simulation.finish()
    assert simulation.process.returncode == 1
    assert "institution[2].data (institution 'Site b'): column 'age': out of bounds" in output
    assert len(output.strip().splitlines()) == 1
    assert not simulation.folder.exists()


def test_a_site_whose_data_changes_refuses_and_the_study_says_so(tmp_path):
    study = write_small_study(tmp_path / "study", letters="ab", rounds=200)
    simulation = start_simulation(study, tmp_path / "installation")
    simulation.wait_for_round(2)
    data = tmp_path / "study" / "b.csv"
    data.write_text(data.read_text().replace("pressure", "blood pressure", 1))
    output = simulation.finish()
    assert simulation.process.returncode == 1, output
    assert simulation.summary["status"] == "paused"
    assert "Site b" in simulation.summary["reason"]
    assert "Site b: refused (data_mismatch" in output
    assert 0 < simulation.summary["rounds"] < 200
    assert simulation.summary["ledger_ok"] is True
    assert simulation.hub_charges() == simulation.site_charges()
