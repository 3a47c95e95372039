"""Section 10 of the report: utility, told by whoever measured it.

Models and their metrics belong to a package above this one, so the settings name the function
that reads them: study → JSON of public numbers, empty where nothing was measured.
"""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from studies.models import Study

NOTHING = {"status": "not evaluated yet"}
PER_STUDY = {"status": "told in the report of each study"}


def section(study: Study | None) -> dict[str, Any]:
    """What settings.REPORT_UTILITY tells, fractions as decimal strings; of one study only."""
    if study is None:
        return PER_STUDY
    return _texts(import_string(settings.REPORT_UTILITY)(study)) or NOTHING


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _texts(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_texts(item) for item in value]
    return repr(value) if isinstance(value, float) else value
