"""The fixed sentences of the report: what is claimed, for whom, and what is not."""

from collections.abc import Mapping

UNIT_NAMES = {"row": "one row of data", "patient": "one patient"}
UNPROTECTED = (
    "the protocol itself: columns, bounds, categories, model, noise, number of rounds",
    "the cohort size that each institution declared in public (never its exact count)",
    "that an institution takes part, and when its site answers",
    "progress: step k of K of a round, where K is set by the protocol; told once a second, at "
    "moments that do not depend on the steps: so how many steps a second, the length of each step "
    "that lasts longer than a second, to about a second, and so how long reading the rows took",
    "whether the data fits the declared contract (column and kind of fault, never a value)",
    "a refusal, with a reason from a closed list, and whether the data had been opened",
    "what the site lends: names, lifetime budgets and caps of its datasets; and the class of its "
    "machine, where it declares one",
    "of an empirical audit: a commitment before round 1, and after the last round the coins and "
    "the salt that it commits to; they are about synthetic canaries, never about rows",
    "the site's own journal, signed: which assignment it charged and released, with its privacy "
    "event, digests, and the time in whole seconds",
)
NOT_PRIVATE = (
    "no number that was computed from rows: each such was noised and charged, also where nobody "
    "used it; what left without noise is among the unprotected quantities"
)
LIMITS = (
    "The guarantee bounds what one more or one fewer privacy unit changes; whether what left is "
    "still personal data is a legal question that it does not answer.",
    "It covers what left the sites through this system. Other studies on the same dataset add to "
    "it; the lifetime budget of the dataset holds them together.",
    "It does not cover what can be learned about a person without that person's data.",
    "Timing of answers and the fact of taking part are outside it (see unprotected quantities).",
    "Hyper-parameters chosen by looking at the data outside this system are not charged here.",
)
BY_THE_RULES = "the rules, no person"
METRICS = {
    "auc": "area under the ROC curve",
    "log_loss": "log loss",
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "bias": "mean of prediction less truth",
    "rows": "rows measured on",
}
NOT_A_STUDY = "of each study; read the report of that study"


def unit_name(unit: str) -> str:
    """The privacy unit in words."""
    return UNIT_NAMES.get(unit, f"one {unit}" if unit else "one privacy unit")


def counted(number: int, word: str) -> str:
    """A number with its noun: 1 step, 3 steps."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def unit_with_cap(unit: str, cap: int) -> str:
    """The privacy units of a report in words; only a patient has several rows."""
    told = " and ".join(unit_name(each) for each in unit.split(" and "))
    if unit.startswith("none"):
        return unit
    return f"{told}, at most {counted(cap, 'row')} each" if "patient" in unit else told


def given_back(steps: int, rows: int) -> str:
    """What a study that ended had sealed and never reserved."""
    if not rows:
        return "nothing"
    if not steps:
        return "nothing: every sealed step had been reserved"
    return f"{counted(steps, 'sealed step')} never reserved, in {counted(rows, 'ledger row')}"


def metric(name: str) -> str:
    """A metric's name as a reader knows it."""
    return METRICS.get(name, name.replace("_", " "))


def at_most(cap: int | None) -> str:
    """The cap of rows per unit, as an insertion."""
    return f", with at most {cap} row{'' if cap == 1 else 's'}," if cap else ""


def posterior(figure: Mapping[str, str], percent: str) -> str:
    """The plain-language reading of an ε with all that belongs to it, as figures.figure says it."""
    by = f"{figure['accountant'].upper()} accountant, per {figure['unit'] or 'privacy unit'}"
    return (
        f"Somebody who starts at 50 % sure whether a person's data was used can become at most "
        f"{percent} % sure from everything that left (ε = {figure['shown']}, {by}, "
        f"{figure['scope']}), save with probability δ = {figure['delta']}."
    )
