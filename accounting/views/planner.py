"""The planner beside the study form: what a draft would cost, redrawn as it is written."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from accounting import charts_planner
from accounting.dp.calibration import CalibrationError
from accounting.dp.doubts import Terms, doubts
from accounting.dp.figures import Unbounded
from accounting.dp.planning import (
    ADAPTIVE,
    Draft,
    Outlook,
    is_long,
    outlook,
    rounds_held,
    sketch,
)
from accounting.keys import Limit
from accounting.selectors import commitments, planner
from accounting.views import drafting
from accounting.views.drafting import Asked
from studies import access
from studies.selectors.protocols import protocol_of

Stated = Mapping[str, str | None]  # institution → class of machine, by the study as it stands
REFINED = "planner-refined"  # posted by the page that shows a sketch already


@login_required
@require_POST
def panel(request: HttpRequest) -> HttpResponse:
    """What the posted study form would cost; study leads. A form half written is no error."""
    access.require_create_study(request.user)
    institutions = access.institutions_for(request.user).values_list("slug", "name")
    asked = drafting.read(request.POST, institutions)
    stated: dict[str, str | None] = {}
    if asked.study:
        cohort = protocol_of(access.led_study_or_404(request.user, asked.study)).cohort
        stated = {member.institution: member.machine for member in cohort}
    context = _context(request, asked, stated)
    return render(request, "accounting/planner_answer.html", context)


def _context(request: HttpRequest, asked: Asked, stated: Stated) -> dict[str, Any]:
    if asked.draft is None:
        return {"faults": asked.faults}
    try:
        drafts = (asked.draft, *(draft for _, draft in asked.classes))
        if REFINED not in request.POST and any(map(is_long, drafts)):
            return _sketched(request, asked, stated)
        return _priced(request, asked, stated, outlook)
    except (CalibrationError, Unbounded, commitments.Unreadable) as error:
        return {"refusal": str(error)}
    except ValueError as error:  # a number that no event may have: a sentence that says which
        return {"faults": (str(error),)}


def _sketched(request: HttpRequest, asked: Asked, stated: Stated) -> dict[str, Any]:
    """What is proven at once; the page asks again for the reference accountant's figures."""
    try:
        return _priced(request, asked, stated, sketch) | {"refine": REFINED}
    except (CalibrationError, Unbounded):  # by this accountant; the reference one may know better
        return {"refine": REFINED}


def _priced(
    request: HttpRequest, asked: Asked, stated: Stated, price: Callable[[Draft], Outlook]
) -> dict[str, Any]:
    found = price(asked.draft)
    plans = {name: price(draft) for name, draft in asked.classes}
    budget = asked.budget or asked.draft.target or found.figure.epsilon
    bound = Limit(budget, asked.draft.delta) if asked.draft.schedule == ADAPTIVE else None
    machines = planner.machines([slug for slug, _ in asked.members], stated)
    houses = _houses(request, asked, {None: found} | plans, machines)
    most = max((found, *plans.values()), key=lambda each: each.figure.epsilon).figure
    each_own = bool(plans) and not (asked.budget or asked.draft.target)
    name = "this study, other machines" if plans else "this study"
    figure = charts_planner.outlook(
        [
            _line(name, found, None if each_own else budget),
            *_class_lines(found, plans),
            *_lifetime_lines(found, houses),
        ],
        found.noise,
        found.naive.points,
    )
    return {
        "found": found,
        "unit": asked.unit,
        "rows": _rows(found),
        "classes": [_class(asked, name, plans[name], machines, houses) for name in plans],
        "most": most,
        "budget": budget,
        "each_own": each_own,
        "bound": bound,
        "judge": "rdp" if bound else found.figure.accountant,
        "held": rounds_held(found, budget),
        "houses": houses,
        "fitting": sum(house.answer == "fits" for house in houses),
        "excess": found.naive.epsilon / max(found.figure.epsilon, 1e-9),
        "doubts": doubts(_terms(asked, found, budget if bound else most.epsilon)),
        "figure": figure,
    }


def _houses(
    request: HttpRequest,
    asked: Asked,
    plans: Mapping[str | None, Outlook],
    machines: Mapping[str, str | None],
) -> list[planner.House]:
    """Each institution's budgets against the plan of its own class, in the form's order."""
    of = {slug: name if name in plans else None for slug, name in machines.items()}
    found = [
        house
        for name, plan in plans.items()
        for house in planner.houses(
            request.user,
            plan,
            [slug for slug in of if of[slug] == name],
            study=asked.study,
            unit=asked.unit,
        )
    ]
    order = [slug for slug, _ in asked.members]
    return sorted(found, key=lambda house: order.index(house.institution.slug))


def _class(
    asked: Asked,
    name: str,
    plan: Outlook,
    machines: Mapping[str, str | None],
    houses: list[planner.House],
) -> dict[str, Any]:
    """One class of machine beside all others: its plan, its price, and whose machines are of it."""
    own = [house.institution for house in houses if machines[house.institution.slug] == name]
    budget = asked.budget or asked.draft.target or plan.figure.epsilon
    return {"name": name, "found": plan, "held": rounds_held(plan, budget), "houses": own}


def _terms(asked: Asked, found: Outlook, epsilon: float) -> Terms:
    draft = found.draft
    first = found.points[0].figure.epsilon
    return Terms(draft.delta, draft.sample_rate, asked.cohorts, epsilon, found.at_site, first)


def _rows(found: Outlook) -> list[dict[str, Any]]:
    """The table beside the chart: each listed round, and what was added since the row above."""
    before = [0.0, *(point.figure.epsilon for point in found.points)]
    return [
        {"point": point, "added": max(0.0, point.figure.epsilon - last)}
        for point, last in zip(found.points, before, strict=False)
    ]


def _line(name: str, found: Outlook, budget: float | None) -> charts_planner.Line:
    points = tuple((point.number, point.figure.epsilon) for point in found.points)
    return charts_planner.Line(name, 0.0, points, budget)


def _class_lines(found: Outlook, plans: Mapping[str, Outlook]) -> list[charts_planner.Line]:
    """A line for each class that spends otherwise than every site."""
    return [
        _line(f"this study, {name} machines", plan, None)
        for name, plan in plans.items()
        if plan.figure.shown() != found.figure.shown()
    ]


def _lifetime_lines(found: Outlook, houses: list[planner.House]) -> list[charts_planner.Line]:
    numbers = [point.number for point in found.points]
    return [
        charts_planner.Line(
            f"{lifetime.lineage}, {house.institution} (lifetime)",
            lifetime.before.epsilon,
            tuple(zip(numbers, (f.epsilon for f in lifetime.after), strict=True)),
            lifetime.limit.epsilon,
        )
        for house in houses
        for lifetime in house.lifetimes or ()
        if lifetime.after
    ]
