"""Reads a half-written study form as a draft: what can be priced, or what is still missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django import forms

from accounting.dp.planning import ADAPTIVE, Draft
from accounting.dp.shared_noise import Cohort
from studies.forms import machines, sections
from studies.forms.protocol import MemberFormSet

_CLASSES = "Classes of machine"
MOST_ROUNDS, MOST_STEPS = 10_000, 1_000_000  # as in the protocol document
_READ: Mapping[str, tuple[type[forms.Form], tuple[str, ...]]] = {
    "training": (sections.TrainingForm, ("sample_rate", "local_steps")),
    "privacy": (
        sections.PrivacyForm,
        (
            "target_epsilon",
            "noise_multiplier",
            "target_delta",
            "epsilon_budget",
            "schedule",
            "shape",
        ),
    ),
    "rounds": (sections.RoundsForm, ("count",)),
    "evaluation": (sections.EvaluationForm, ("every", "noise_multiplier")),
}


class SharingForm(forms.Form):
    """What the planner asks for beside the study form: noise shared under secure aggregation."""

    shared = forms.BooleanField(required=False, label="Share the noise (secure aggregation)")
    sites = forms.IntegerField(
        required=False, min_value=1, max_value=10_000, label="Sites", help_text="Empty: as invited."
    )
    dropped = forms.IntegerField(
        required=False, min_value=0, max_value=10_000, label="May drop out", initial=0
    )
    colluding = forms.IntegerField(
        required=False, min_value=0, max_value=10_000, label="May tell the hub", initial=0
    )
    study = forms.SlugField(required=False, max_length=80, widget=forms.HiddenInput)


@dataclass(frozen=True)
class Asked:
    """What was understood: a draft, or the faults that stand in its way."""

    draft: Draft | None
    faults: tuple[str, ...]
    budget: float | None
    unit: str
    members: tuple[tuple[str, int | None], ...]  # institution's slug, declared size
    study: str
    classes: tuple[tuple[str, Draft], ...] = ()  # class of machine, the draft as it is there

    @property
    def cohorts(self) -> tuple[int, ...]:
        """The declared sizes that are known."""
        return tuple(size for _, size in self.members if size)


def read(posted: Any, institutions: Iterable[tuple[str, str]]) -> Asked:
    """Read what was posted, whatever it is; never raises."""
    values, faults = _sections(posted)
    sharing = SharingForm(posted, prefix="planner")
    sharing.is_valid()
    members = _members(posted, institutions)
    rows, wrong = _classes(posted)
    faults += wrong
    draft, more = None, ()
    if not faults:
        draft, more = _draft(values, sharing, len(members))
    if rows and draft and draft.schedule == ADAPTIVE:
        draft, more = None, (f"{_CLASSES}: noise that is chosen on the way is one for all.",)
    return Asked(
        draft,
        (*faults, *more),
        _above(values.get("privacy", {}).get("epsilon_budget")),
        "patient" if posted.get("data-unit") == "patient" else "row",
        members,
        sharing.cleaned_data.get("study") or "",
        tuple((name, replace(draft, **plan)) for name, plan in rows.items())
        if draft and not draft.sharing
        else (),
    )


def _classes(posted: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Class of machine → the keys of the draft that are otherwise there, and what is wrong."""
    rows = machines.ClassFormSet(posted, prefix="classes")
    rows.is_valid()
    faults = [
        error for form in machines.kept(rows) for each in form.errors.values() for error in each
    ]
    found = {}
    for name, plan in machines.document(rows).items():
        rate, steps = plan["sample_rate"], plan["local_steps"]
        if rate is not None and not 0 < rate <= 1:
            faults.append("Sample rate: above 0, up to 1.")
        if (steps or 0) > MOST_STEPS:
            faults.append(f"Local steps: up to {MOST_STEPS:,}.")
        stated = {"sample_rate": rate, "steps": steps}
        found[name] = {key: value for key, value in stated.items() if value is not None}
    return found, [f"{_CLASSES}: {fault}" for fault in dict.fromkeys(faults)]


def _sections(posted: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    values, faults = {}, []
    for prefix, (kind, names) in _READ.items():
        form = kind(posted, prefix=prefix)
        for unread in set(form.fields) - set(names):
            del form.fields[unread]
        form.is_valid()
        values[prefix] = form.cleaned_data
        for name, errors in form.errors.items():
            label = form[name].label if name in form.fields else prefix
            faults.append(f"{label}: {errors[0]}")
    return values, faults


def _members(
    posted: Any, institutions: Iterable[tuple[str, str]]
) -> tuple[tuple[str, int | None], ...]:
    rows = MemberFormSet(posted, prefix="members", form_kwargs={"institutions": [*institutions]})
    rows.is_valid()
    found: dict[str, int | None] = {}
    for form in rows.forms:
        given = getattr(form, "cleaned_data", {})
        if given.get("institution") and not given.get("DELETE"):
            found.setdefault(given["institution"], given.get("cohort_size"))
    return tuple(found.items())


def _draft(
    values: dict[str, dict[str, Any]], sharing: SharingForm, invited: int
) -> tuple[Draft | None, tuple[str, ...]]:
    training, privacy = values["training"], values["privacy"]
    rounds, evaluation = values["rounds"], values["evaluation"]
    faults = [*_out_of_range(training, privacy, rounds, evaluation)]
    shared = None
    if not faults:
        try:
            shared = _sharing(sharing, invited)
        except ValueError as error:
            faults.append(f"Shared noise: {error}")
    if faults:
        return None, tuple(faults)
    own = privacy["schedule"] == "custom"
    return Draft(
        rounds=rounds["count"],
        steps=training["local_steps"],
        sample_rate=training["sample_rate"],
        delta=privacy["target_delta"],
        schedule=tuple(privacy["shape"]) if own else privacy["schedule"],
        target=privacy["target_epsilon"],
        noise=privacy["noise_multiplier"],
        evaluate_every=evaluation["every"],
        evaluation_noise=evaluation["noise_multiplier"],
        sharing=shared,
        budget=privacy["epsilon_budget"] if privacy["schedule"] == ADAPTIVE else None,
    ), ()


def _sharing(form: SharingForm, invited: int) -> Cohort | None:
    if not form.cleaned_data.get("shared"):
        return None
    if form.errors:
        raise ValueError("give whole numbers, 0 or more")
    values = form.cleaned_data
    sites = values["sites"] or invited
    return Cohort(sites, values["dropped"] or 0, values["colluding"] or 0)


def _out_of_range(
    training: dict[str, Any],
    privacy: dict[str, Any],
    rounds: dict[str, Any],
    evaluation: dict[str, Any],
) -> Iterable[str]:
    """What the protocol document would refuse, said before it is asked."""
    target, noise = privacy["target_epsilon"], privacy["noise_multiplier"]
    rules = (
        ((target is None) == (noise is None), "Give a target ε, or the noise itself: one of both."),
        (
            privacy["schedule"] == ADAPTIVE and target is None,
            "Target ε: noise that is chosen on the way needs one.",
        ),
        (not 0 < training["sample_rate"] <= 1, "Sample rate: above 0, up to 1."),
        (training["local_steps"] > MOST_STEPS, f"Local steps: up to {MOST_STEPS:,}."),
        (rounds["count"] > MOST_ROUNDS, f"Rounds: up to {MOST_ROUNDS:,}."),
        (not 1e-10 <= privacy["target_delta"] < 1, "δ: at least 1e-10 and below 1."),
        (target is not None and target <= 0, "Target ε: above 0."),
        (noise is not None and noise <= 0, "Noise multiplier: above 0."),
        (_below_zero(privacy["epsilon_budget"]), "Budget ε per site: above 0."),
        (
            bool(evaluation["every"]) and not _above(evaluation["noise_multiplier"]),
            "Noise of the histogram: above 0, as the sites are asked for histograms.",
        ),
        (
            privacy["schedule"] == "custom" and len(privacy["shape"]) != rounds["count"],
            f"Own shape: one number per round, {rounds['count']} in all.",
        ),
    )
    return (text for broken, text in rules if broken)


def _above(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _below_zero(value: float | None) -> bool:
    return value is not None and value <= 0
