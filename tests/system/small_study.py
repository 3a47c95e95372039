"""A small study on made-up data, written as files: quick to run with every process real."""

import csv
import random
from pathlib import Path

HEAD = """
[study]
name = "Small study"

[data]
[[data.column]]
name = "age"
low = 0
high = 100
[[data.column]]
name = "pressure"
low = 50
high = 250
[data.target]
column = "ill"
classes = [["0"], ["1"]]

[model]
architecture = "logistic"

[training]
sample_rate = 0.5
local_steps = {steps}
learning_rate = 1.0
max_grad_norm = 1.0

[privacy]
{privacy}
target_delta = 1e-4

[rounds]
count = {rounds}
deadline_seconds = {deadline}

[evaluation]
{evaluation}
"""
SITE = """
[[institution]]
name = "Site {letter}"
data = "{letter}.csv"
dataset = "patients"
cohort_size = 100
[institution.limits]
lifetime_epsilon = {lifetime}
lifetime_delta = 1e-4
max_epsilon_per_study = 50
"""
SITE_EVALUATION = "every = 2\nholdout = 0.2\nnoise_multiplier = 5.0"


def write_small_study(
    folder: Path,
    *,
    letters: str = "abc",
    rounds: int = 3,
    privacy: str = "noise_multiplier = 2.0",
    deadline: float = 120,
    lifetime: float = 50,
    evaluation: str = "",
    steps: int = 2,
) -> Path:
    """Write the study file and one CSV per site into `folder`; returns the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    text = HEAD.format(
        privacy=privacy, rounds=rounds, deadline=deadline, evaluation=evaluation, steps=steps
    )
    for letter in letters:
        write_rows(folder / f"{letter}.csv", seed=letter)
        text += SITE.format(letter=letter, lifetime=lifetime)
    path = folder / "study.toml"
    path.write_text(text)
    return path


def write_rows(path: Path, seed: str, rows: int = 100) -> None:
    """Write rows in which older patients with a higher pressure are ill more often."""
    source = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "pressure", "ill"])
        for _ in range(rows):
            age, pressure = source.uniform(20, 90), source.uniform(90, 200)
            ill = source.random() < (age + pressure - 110) / 180
            writer.writerow([f"{age:.1f}", f"{pressure:.0f}", int(ill)])
