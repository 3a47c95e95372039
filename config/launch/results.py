"""The files that a finished study leaves: report, ledger, model and model card."""

import shutil
from pathlib import Path

from accounting.reports.build import build
from accounting.reports.pdf.document import pdf_bytes
from accounting.reports.table import csv_text
from accounting.selectors.export import ledger_text
from config.launch.outcome import Outcome
from federation.model_card import model_card
from federation.selectors import models
from federation.services import blobs


def write_files(outcome: Outcome, folder: Path) -> list[Path]:
    """Write every file into `folder` (made when missing); returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    report = build(outcome.study)
    contents = {
        "report.json": report.text.encode(),
        "report.csv": csv_text(report).encode(),
        "report.pdf": pdf_bytes(report),
        "ledger.json": ledger_text(outcome.study.slug).encode(),
    }
    newest = models.latest(outcome.study)
    if newest is not None:
        contents["model_card.md"] = model_card(outcome.study, newest).encode()
        shutil.copyfile(blobs.path(newest.reported_digest), folder / "model.safetensors")
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    model = [folder / "model.safetensors"] if newest is not None else []
    return [*(folder / name for name in contents), *model]
