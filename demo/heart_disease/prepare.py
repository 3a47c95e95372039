"""Makes the demonstration's data files from the four original ones (for developers, run once).

    python demo/heart_disease/prepare.py

It follows FLamby's Fed-Heart-Disease (Ogier du Terrail et al. 2022, arXiv 2210.04620), so that
results can be compared: columns 10 to 12 (slope, ca, thal) are dropped, then rows with a missing
value (740 remain), then each hospital is split 66 : 34, stratified by disease or none, with
random_state 43. Each hospital's training rows become its own file; the test rows of all four
together become the public test file. Values are untouched, only written as plain numbers. Zurich
has one patient without disease, too few to stratify by, so its split is not stratified.
"""

import csv
from pathlib import Path

from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
HOSPITALS = {
    "cleveland": "cleveland",
    "budapest": "hungarian",
    "zurich": "switzerland",
    "long-beach": "va",
}
FEATURES = ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak"]
DROPPED = ["slope", "ca", "thal"]
NAMES = [*FEATURES, *DROPPED, "num"]
KEPT = [*FEATURES, "num"]

Row = list[str]


def complete_rows(source: Path) -> list[Row]:
    """The rows of one original file without the dropped columns and without missing values."""
    with source.open(newline="", encoding="ascii") as lines:
        rows = [dict(zip(NAMES, row, strict=True)) for row in csv.reader(lines) if row]
    kept = [[row[name] for name in KEPT] for row in rows]
    return [[f"{float(cell):g}" for cell in row] for row in kept if "?" not in row]


def split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """(training rows, test rows), each in the original order, exactly as FLamby splits."""
    sick = [row[-1] != "0" for row in rows]
    stratify = sick if all(sick.count(answer) > 2 for answer in set(sick)) else None
    train, test = train_test_split(
        range(len(rows)),
        train_size=0.66,
        test_size=1.0 - 0.66,
        random_state=43,
        shuffle=True,
        stratify=stratify,
    )
    return [rows[i] for i in sorted(train)], [rows[i] for i in sorted(test)]


def write(target: Path, rows: list[Row]) -> None:
    """One CSV file with a header line."""
    with target.open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([KEPT, *rows])


def main() -> None:
    """Write one training file per hospital and the public test file."""
    public: list[Row] = []
    for hospital, original in HOSPITALS.items():
        train, test = split(complete_rows(HERE / f"processed.{original}.data"))
        write(HERE / f"{hospital}.csv", train)
        public += test
    write(HERE / "public_test.csv", public)


if __name__ == "__main__":
    main()
