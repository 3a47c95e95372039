"""The trust models of ACCOUNTING section 6: what may be said in each, against whom, assuming what.

A build that runs a study in another way names it here first; a model without a sentence cannot be
reported.
"""

from dataclasses import dataclass
from enum import StrEnum

from accounting.reports import wording


class TrustModel(StrEnum):
    """How the noise comes in."""

    SITE_NOISE = "every site adds full noise"
    SHARED_NOISE = "secure aggregation, noise shared"
    NO_NOISE = "secure aggregation, no noise"
    HUB_NOISE = "noise at the hub"


@dataclass(frozen=True)
class Claim:
    """One (ε, δ) and what it is about; `outputs` such as "everything that left it in this study".

    `against` is used where a trust model distinguishes who looks.
    """

    shown: str
    delta: str
    accountant: str
    unit: str
    cap: int | None
    outputs: str
    where: str = "at one institution"
    attested: str = ""  # by whom, that no unit is at two institutions
    together: bool = False  # composed, because nobody answers for that
    against: str = ""
    period: bool = False


_SOFTWARE = (
    "the site worker at each institution runs the published software unchanged",
    "the operating system's random generator is sound",
    "noise is drawn in floating point from a CSPRNG, not from an exact discrete sampler",
)
ASSUMPTIONS: dict[TrustModel, tuple[str, ...]] = {
    TrustModel.SITE_NOISE: _SOFTWARE,
    TrustModel.SHARED_NOISE: (
        "at least the stated number of sites is honest and answers",
        "the sites' keys are pinned, and the consistency round was held",
        "a round with fewer survivors is aborted, and stays charged",
        *_SOFTWARE,
    ),
    TrustModel.NO_NOISE: ("the secure aggregation is not broken",),
    TrustModel.HUB_NOISE: ("the hub is trusted with every site's raw update", *_SOFTWARE),
}
_AGAINST = {
    TrustModel.SITE_NOISE: "everybody, the hub and the other sites included",
    TrustModel.HUB_NOISE: "readers of the model",
}
_BECAUSE = {
    TrustModel.SITE_NOISE: "every site adds full noise before anything leaves",
    TrustModel.SHARED_NOISE: "the sites' shares of the noise add up inside the secure sum",
    TrustModel.HUB_NOISE: "the hub adds noise before the model is shown; it sees raw updates",
}


def sentence(model: TrustModel, claim: Claim | None) -> str:
    """The one sentence; ValueError where a model with a guarantee is given no claim."""
    if model is TrustModel.NO_NOISE:
        return (
            "No differential privacy is claimed: the hub sees only sums, but nothing bounds what a "
            "sum tells about one person, and no ε is printed."
        )
    if claim is None:
        raise ValueError(f"{model} makes a claim; give its figure")
    against = claim.against or _AGAINST[model]
    attested = f" and nobody is at two institutions, as {claim.attested} attests"
    attested = attested if claim.attested else ""
    attested += "; nobody attests that it is at one of them only" if claim.together else ""
    whom = wording.unit_name(claim.unit) + (wording.at_most(claim.cap) or ",")
    return (
        f"For {whom} adding or removing it {claim.where} changes {claim.outputs} by no more "
        f"than (ε = {claim.shown}, "
        f"δ = {claim.delta}), by the {claim.accountant.upper()} accountant: against {against}, "
        f"because {_BECAUSE[model]}, as long as the sites' software is honest{attested}."
    )


def odometer(claim: Claim) -> str:
    """What is said of a sum so far that bounds nothing: the sum, and that nothing is promised."""
    whom = wording.unit_name(claim.unit) + (wording.at_most(claim.cap) or ",")
    period = " in this period" if claim.period else " so far"
    return (
        f"For {whom} {claim.where} nothing is promised: no filter joins them, and the later plans "
        f"may have been chosen after earlier results. What was spent{period} comes to "
        f"(ε = {claim.shown}, δ = {claim.delta}), by the {claim.accountant.upper()} accountant: an "
        "odometer, which may be shown, not claimed. What may be claimed of each alone stands in "
        "its own line."
    )


def section(used: TrustModel) -> dict[str, object]:
    """Section 7: how it ran and what that assumes; the other ways, and that they were not used."""
    others = [model.value for model in TrustModel if model is not used]
    return {
        "how_it_ran": used.value,
        "assumptions": list(ASSUMPTIONS[used]),
        "secure_aggregation": "not used",
        "not_used": others,
    }
