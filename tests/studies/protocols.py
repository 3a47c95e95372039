"""The smallest protocol that is one, and its variations."""

from typing import Any

from federation.protocol.document import Protocol

DOCUMENT: dict[str, Any] = {
    "name": "Heart disease",
    "data": {
        "columns": [{"name": "age", "low": 20, "high": 90}],
        "target": {"column": "sick", "classes": [["0"], ["1"]]},
    },
    "model": {"architecture": "logistic"},
    "training": {"sample_rate": 0.5, "local_steps": 2, "learning_rate": 1, "max_grad_norm": 1},
    "privacy": {"noise_multiplier": 2, "target_delta": 1e-3},
    "rounds": {"count": 2},
    "cohort": [
        {"institution": "cleveland", "cohort_size": 200},
        {"institution": "budapest", "cohort_size": 200},
    ],
}


def small_protocol(**sections: Any) -> Protocol:
    """A protocol with two hospitals; a section given as a mapping changes keys of the default."""
    document = {**DOCUMENT}
    for name, value in sections.items():
        if isinstance(value, dict):
            value = {**document.get(name, {}), **value}
        document[name] = value
    return Protocol.model_validate(document)


def cohort(*slugs: str) -> list[dict[str, Any]]:
    """A cohort section of these institutions."""
    return [{"institution": slug, "cohort_size": 200} for slug in slugs]
