"""A study's models: who contributed to each and what they are worth."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from federation.models import Checkpoint
from studies.models import Study


@dataclass(frozen=True)
class ModelRow:
    """One checkpoint. `public` and `sites` are metrics or None; the reported model is measured."""

    number: int
    digest: str
    reported_digest: str
    contributors: tuple[str, ...]
    public: dict[str, Any] | None
    sites: dict[str, Any] | None
    at: datetime

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics to show: public rows if there are any, else the sites' histograms."""
        return self.public or self.sites or {}


def checkpoints(study: Study) -> list[ModelRow]:
    """All models, from 0 (the initial one)."""
    return [_model(row) for row in study.checkpoints.order_by("number")]


def latest(study: Study) -> ModelRow | None:
    """The newest model, None before the study started."""
    row = study.checkpoints.order_by("-number").first()
    return row and _model(row)


def utility(study: Study) -> list[ModelRow]:
    """The models that were measured, by round: what the utility chart draws."""
    return [row for row in checkpoints(study) if row.metrics]


def _model(row: Checkpoint) -> ModelRow:
    return ModelRow(
        number=row.number,
        digest=row.digest,
        reported_digest=row.reported_digest,
        contributors=tuple(row.contributors),
        public=row.metrics.get("public"),
        sites=row.metrics.get("sites"),
        at=row.at,
    )
