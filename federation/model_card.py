"""The model card: what a downloaded model is, who made it, what it cost, what it must not be."""

from typing import Any

from accounting.selectors.spending import study_loss
from federation.selectors.models import ModelRow
from federation.selectors.models import summary as summary_of
from studies.models import Study
from studies.selectors.protocols import protocol_of
from studies.templatetags.cloister import terms

METRICS = ("accuracy", "auc", "sensitivity", "specificity", "log_loss")


def model_card(study: Study, model: ModelRow) -> str:
    """Markdown for `model`, with an ε per contributing institution by the ledger's events."""
    protocol = protocol_of(study)
    parts = [
        f"# {study.name}",
        protocol.purpose or "No purpose was stated.",
        _facts(study, model),
        "## Intended use",
        "Research within the purpose above. Not a medical device; not validated for decisions "
        "about single people.",
        "## How well it does",
        _metrics("Public rows at the hub", model.public),
        _metrics("Noised histograms of the sites", model.sites),
        "## What it cost in privacy",
        _costs(study),
        "## Data",
        _features(study),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(study: Study, model: ModelRow) -> str:
    protocol, done = protocol_of(study), summary_of(study)
    return "\n".join(
        (
            f"- Study: `{study.slug}`, status {study.status}, {done.rounds} rounds closed",
            f"- Model: round {model.number}, safetensors with SHA-256 `{model.reported_digest}`",
            f"- Protocol: SHA-256 `{study.protocol_digest}`",
            f"- Architecture: {protocol.model.architecture} {protocol.model.parameters or ''}",
            f"- Contributors to its round: {', '.join(model.contributors) or 'none'}",
        )
    )


def _metrics(title: str, metrics: dict[str, Any] | None) -> str:
    if not metrics:
        return ""
    if "withheld" in metrics:
        return f"{title}: withheld, {metrics['withheld']}."
    rows = [(name, metrics[name]) for name in METRICS if metrics.get(name) is not None]
    lines = [f"| {name.replace('_', ' ')} | {value:.3f} |" for name, value in rows]
    return "\n".join((f"| {title} | |", "|---|---|", *lines)) if lines else ""


def _costs(study: Study) -> str:
    protocol = protocol_of(study)
    delta, unit = protocol.privacy.target_delta, protocol.data.unit
    lines = []
    for member in protocol.cohort:
        figure = study_loss(study.slug, member.institution, delta)
        words = terms(figure.delta, figure.accountant, unit, "this study")
        lines.append(f"- {member.institution}: ε = {figure.shown()} ({words})")
    return "\n".join(lines)


def _features(study: Study) -> str:
    data = protocol_of(study).data
    names = ", ".join(column.name for column in data.columns)
    return f"Features in this order: {names}. Target: {data.target.column}."
