"""The fixed sentences of the report: what is claimed, for whom, and what is not."""

SITE_NOISE = "every site adds full noise"
UNIT_NAMES = {"row": "one row of data", "patient": "one patient"}
ASSUMPTIONS = (
    "the site worker at each institution runs the published software unchanged",
    "the operating system's random generator is sound",
    "noise is drawn in floating point from a CSPRNG, not from an exact discrete sampler",
)
UNPROTECTED = (
    "the protocol itself: columns, bounds, categories, model, noise, number of rounds",
    "the cohort size that each institution declared in public (never its exact count)",
    "that an institution takes part, and when its site answers",
    "progress: step k of K of a round, where K is set by the protocol",
    "whether the data fits the declared contract (column and kind of fault, never a value)",
)
LIMITS = (
    "The guarantee bounds what one more or one fewer privacy unit changes; whether what left is "
    "still personal data is a legal question that it does not answer.",
    "It covers what left the sites in this study. Other studies on the same dataset add to it; "
    "the lifetime budget of the dataset holds them together.",
    "It does not cover what can be learned about a person without that person's data.",
    "Timing of answers and the fact of taking part are outside it (see unprotected quantities).",
    "Hyper-parameters chosen by looking at the data outside this system are not charged here.",
)


def unit_name(unit: str) -> str:
    """The privacy unit in words."""
    return UNIT_NAMES.get(unit, f"one {unit}")


def statement(shown: str, delta: str, unit: str, cap: int | None, accountant: str) -> str:
    """The one sentence for the trust model in which every site adds full noise."""
    held = f", with at most {cap} rows," if cap else ""
    return (
        f"For {unit_name(unit)}{held} adding or removing it at one institution changes everything "
        f"that left that institution in this study by no more than (ε = {shown}, δ = {delta}), "
        f"by the {accountant.upper()} accountant: against everybody, the hub and the other sites "
        "included, because every site adds full noise before anything leaves."
    )


def posterior(shown: str, percent: str) -> str:
    """The plain-language reading of an ε."""
    return (
        f"Somebody who starts at 50 % sure whether a person's data was used can become at most "
        f"{percent} % sure from everything that left (ε = {shown}), save with probability δ."
    )
