"""The planner beside the study form: what a draft would cost, redrawn as it is written."""

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

REFINED = "planner-refined"  # posted by the page that shows a sketch already


@login_required
@require_POST
def panel(request: HttpRequest) -> HttpResponse:
    """What the posted study form would cost; study leads. A form half written is no error."""
    access.require_create_study(request.user)
    institutions = access.institutions_for(request.user).values_list("slug", "name")
    asked = drafting.read(request.POST, institutions)
    if asked.study:
        access.led_study_or_404(request.user, asked.study)
    return render(request, "accounting/planner_answer.html", _context(request, asked))


def _context(request: HttpRequest, asked: Asked) -> dict[str, Any]:
    if asked.draft is None:
        return {"faults": asked.faults}
    try:
        if REFINED not in request.POST and is_long(asked.draft):
            return _sketched(request, asked)
        return _priced(request, asked, outlook(asked.draft))
    except (CalibrationError, Unbounded, commitments.Unreadable) as error:
        return {"refusal": str(error)}
    except ValueError as error:  # a number that no event may have: a sentence that says which
        return {"faults": (str(error),)}


def _sketched(request: HttpRequest, asked: Asked) -> dict[str, Any]:
    """What is proven at once; the page asks again for the reference accountant's figures."""
    try:
        return _priced(request, asked, sketch(asked.draft)) | {"refine": REFINED}
    except (CalibrationError, Unbounded):  # by this accountant; the reference one may know better
        return {"refine": REFINED}


def _priced(request: HttpRequest, asked: Asked, found: Outlook) -> dict[str, Any]:
    budget = asked.budget or asked.draft.target or found.figure.epsilon
    bound = Limit(budget, asked.draft.delta) if asked.draft.schedule == ADAPTIVE else None
    slugs = [slug for slug, _ in asked.members]
    houses = planner.houses(request.user, found, slugs, study=asked.study, unit=asked.unit)
    figure = charts_planner.outlook(
        [_study_line(found, budget), *_lifetime_lines(found, houses)],
        found.noise,
        found.naive.points,
    )
    return {
        "found": found,
        "unit": asked.unit,
        "rows": _rows(found),
        "budget": budget,
        "bound": bound,
        "judge": "rdp" if bound else found.figure.accountant,
        "held": rounds_held(found, budget),
        "houses": houses,
        "fitting": sum(house.answer == "fits" for house in houses),
        "excess": found.naive.epsilon / max(found.figure.epsilon, 1e-9),
        "doubts": doubts(_terms(asked, found, budget if bound else found.figure.epsilon)),
        "figure": figure,
    }


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


def _study_line(found: Outlook, budget: float) -> charts_planner.Line:
    points = tuple((point.number, point.figure.epsilon) for point in found.points)
    return charts_planner.Line("this study", 0.0, points, budget)


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
