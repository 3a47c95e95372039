"""Parts loaded when first needed: torch and the accountants cost seconds and most of the memory."""

from importlib import import_module
from typing import Any

ROUND_EVENTS = "federation.protocol.plans:round_events"
PLAN_EVENTS = "federation.protocol.plans:plan_events"
BUDGET = "federation.protocol.plans:epsilon_budget"
PLD = "accounting.dp.accountants:epsilon"
FITS = "accounting.dp.filters:fits"
FITS_ADAPTIVELY = "accounting.dp.filters:fits_adaptively"
BEST_ORDER = "accounting.dp.filters:best_order"
FIRST_MODEL = "federation.learning.personal:first"
TRIAL = "federation.learning.trial:check"
CANARIES_JOINED = "federation.learning.canaries:joined"
TRAIN = "federation.learning.training:trained"
TRAINED_ALONE = "federation.learning.alone:trained_alone"
MEASURED = "federation.learning.alone:measured"
DEVICE = "federation.learning.devices:described"
HISTOGRAM = "federation.learning.evaluation:histogram"


def load(entry: str) -> Any:
    """The object named `module:attribute`."""
    module, _, attribute = entry.partition(":")
    return getattr(import_module(module), attribute)
