"""Who may do what: each rule once, as a question (`may_…`) and as a gate (`require_…`, `…_or_404`).

What a person may not see does not exist for them (404); only where the object is visible and the
action is not theirs is it forbidden (403). Whether something can happen *now* is not decided here
but by the state tables. No role grants anything that is not written below.
"""

from collections.abc import Callable
from typing import TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from studies.models import Event, Institution, Participation, Role, Study
from studies.selectors.alerting import alerts_for
from studies.selectors.visibility import (
    Visitor,
    administered,
    events_for,
    has_role,
    institutions_for,
    institutions_in,
    led_studies,
    overseen,
    participations_for,
    roles_of,
    sees_whole,
    studies_for,
)
from studies.states import STUDY_MOVES

__all__ = ["events_for", "institutions_for", "institutions_in", "participations_for", "roles_of"]
__all__ += ["sees_whole", "studies_for"]

Row = TypeVar("Row", bound=Model)
LEAD_ACTIONS = frozenset(move.action for move in STUDY_MOVES if move.who == "lead")


# Seeing.


def may_see_study(person: Visitor, study: Study) -> bool:
    """Its lead, the site admins of invited institutions, the officers of these or of all."""
    return studies_for(person).filter(pk=study.pk).exists()


def may_see_institution(person: Visitor, institution: Institution) -> bool:
    """Study leads and operators: any; site admins and officers: their own."""
    return institutions_for(person).filter(pk=institution.pk).exists()


def may_see_part(person: Visitor, study: Study, institution: Institution) -> bool:
    """Whether the person sees what this institution did and spent in this study."""
    return institutions_in(person, study).filter(pk=institution.pk).exists()


def may_read_offer(person: Visitor, institution: Institution) -> bool:
    """What an institution lends and its lifetime budgets: its own admins and officers."""
    return may_administer(person, institution) or (
        overseen(person).filter(pk=institution.pk).exists()
    )


def may_read_ledger(person: Visitor) -> bool:
    """The ledger's page; which rows stand on it is decided row by row (may_see_part)."""
    return has_role(person, Role.COMPLIANCE_OFFICER) or has_role(person, Role.SITE_ADMIN)


def may_verify_ledger(person: Visitor) -> bool:
    """Any compliance officer may have the whole chain recomputed."""
    return has_role(person, Role.COMPLIANCE_OFFICER)


def may_read_report(person: Visitor, study: Study, institution: Institution | None = None) -> bool:
    """The ε report: of the whole study for who sees it whole, else of the own institution."""
    if institution is None:
        return sees_whole(person, study)
    return may_see_part(person, study, institution)


def may_read_alerts(person: Visitor) -> bool:
    """The page of violations: officers, and site admins for what concerns their institution."""
    return has_role(person, Role.COMPLIANCE_OFFICER) or has_role(person, Role.SITE_ADMIN)


def may_explain(person: Visitor) -> bool:
    """Compliance officers explain the alerts that they may see."""
    return has_role(person, Role.COMPLIANCE_OFFICER)


# Doing.


def may_create_study(person: Visitor) -> bool:
    """Study leads."""
    return has_role(person, Role.STUDY_LEAD)


def may_lead(person: Visitor, study: Study) -> bool:
    """The study's own lead, as long as the role lasts."""
    return led_studies(person).filter(pk=study.pk).exists()


def may_act(person: Visitor, study: Study, action: str) -> bool:
    """Whether `action` of the study's state table is this person's to take."""
    return action in LEAD_ACTIONS and may_lead(person, study)


def may_download_model(person: Visitor, study: Study) -> bool:
    """The study's lead, and the site admins whose institution takes part in it."""
    return (
        may_lead(person, study)
        or participations_for(person, study)
        .filter(institution__in=administered(person), status="approved")
        .exists()
    )


def may_register_institution(person: Visitor) -> bool:
    """Study leads."""
    return has_role(person, Role.STUDY_LEAD)


def may_administer(person: Visitor, institution: Institution) -> bool:
    """The site admins of this very institution."""
    return administered(person).filter(pk=institution.pk).exists()


def may_issue_token(person: Visitor, institution: Institution) -> bool:
    """Its site admins; a study lead only for an institution that never had a site.

    Who pins the key speaks for the institution's journal and can give back its charges: nobody
    outside may do that, also not after its key was revoked.
    """
    if may_administer(person, institution):
        return True
    return has_role(person, Role.STUDY_LEAD) and not ever_enrolled(institution)


def ever_enrolled(institution: Institution) -> bool:
    """Whether a site's key is pinned or ever was; events are never deleted."""
    kinds = ("site_enrolled", "site_key_revoked")
    events = Event.objects.filter(institution=institution, kind__in=kinds)
    return bool(institution.site_key) or events.exists()


def may_decide(person: Visitor, participation: Participation) -> bool:
    """Approve, decline, withdraw: the site admins of the participation's institution."""
    return may_administer(person, participation.institution)


def may_lower_budget(person: Visitor, institution: Institution) -> bool:
    """The lifetime budget of a dataset: its institution's site admins."""
    return may_administer(person, institution)


def may_propose_raise(person: Visitor, institution: Institution) -> bool:
    """Raising a lifetime budget begins with its institution's site admins."""
    return may_administer(person, institution)


def may_decide_raise(person: Visitor, institution: Institution) -> bool:
    """And ends with an officer who oversees it; that it is another person, the service checks."""
    return overseen(person).filter(pk=institution.pk).exists()


def may_attest(person: Visitor, study: Study) -> bool:
    """That no patient is at two institutions: the study's lead and its officers."""
    return sees_whole(person, study)


# Gates.


def study_or_404(person: Visitor, slug: str) -> Study:
    """The study, when the person may see it; else Http404."""
    return _first_or_404(studies_for(person).filter(slug=slug).select_related("lead"))


def led_study_or_404(person: Visitor, slug: str) -> Study:
    """The person's own study; Http404 when invisible, PermissionDenied when not the lead."""
    study = study_or_404(person, slug)
    _allow(may_lead(person, study), "only the study's lead may do this")
    return study


def institution_or_404(person: Visitor, slug: str) -> Institution:
    """The institution, when the person may see it; else Http404."""
    return _first_or_404(institutions_for(person).filter(slug=slug))


def row_or_404(
    person: Visitor,
    may: Callable[[Visitor, Institution], bool],
    rows: type[Row] | QuerySet[Row],
    number: int,
) -> tuple[Row, Institution]:
    """A row that names its institution by slug, and this; Http404 where the person may not."""
    row = get_object_or_404(rows, pk=number)
    house = get_object_or_404(Institution, slug=row.institution)
    _visible(may(person, house))
    return row, house


def participation_or_404(person: Visitor, study: str, institution: str) -> Participation:
    """One institution's part in one study (by slugs), when the person may see it; else Http404."""
    rows = participations_for(person, study_or_404(person, study))
    rows = rows.filter(institution__slug=institution).select_related("study__lead", "institution")
    return _first_or_404(rows)


def require_action(person: Visitor, study: Study, action: str) -> None:
    """Http404 when the study is invisible, PermissionDenied when the action is not theirs."""
    _visible(may_see_study(person, study))
    _allow(may_act(person, study, action), f"you may not {action} this study; its lead may")


def require_attest(person: Visitor, study: Study) -> None:
    """Http404 when the study is invisible, PermissionDenied for who does not see it whole."""
    _visible(may_see_study(person, study))
    _allow(may_attest(person, study), "the study's lead and its compliance officers may attest")


def require_decide(person: Visitor, participation: Participation) -> None:
    """Http404 when invisible, PermissionDenied for everybody but its site admins."""
    _visible(may_see_part(person, participation.study, participation.institution))
    _allow(
        may_decide(person, participation),
        f"only a site admin of {participation.institution} may decide this",
    )


def require_administer(person: Visitor, institution: Institution) -> None:
    """Http404 when invisible, PermissionDenied for everybody but its site admins."""
    _visible(may_see_institution(person, institution))
    _allow(may_administer(person, institution), f"only a site admin of {institution} may do this")


def require_issue_token(person: Visitor, institution: Institution) -> None:
    """Http404 when invisible, PermissionDenied when the token is not theirs to issue."""
    _visible(may_see_institution(person, institution))
    _allow(
        may_issue_token(person, institution),
        f"a new token replaces the key of {institution}; only its site admin may issue one",
    )


def require_create_study(person: Visitor) -> None:
    """PermissionDenied for everybody but study leads."""
    _allow(may_create_study(person), "only study leads write studies; ask for the role")


def require_register_institution(person: Visitor) -> None:
    """PermissionDenied for everybody but study leads."""
    _allow(may_register_institution(person), "only study leads register institutions")


def require_read_alerts(person: Visitor) -> None:
    """Http404 for everybody whom no alert concerns."""
    _visible(may_read_alerts(person))


def alert_or_404(person: Visitor, number: int) -> Event:
    """The alert, when the person may see it; else Http404."""
    require_read_alerts(person)
    return _first_or_404(alerts_for(person).filter(pk=number))


def require_explain(person: Visitor) -> None:
    """PermissionDenied for everybody but officers."""
    _allow(may_explain(person), "compliance officers explain alerts")


def require_download_model(person: Visitor, study: Study) -> None:
    """Http404 when the study is invisible, PermissionDenied when the model is not theirs."""
    _visible(may_see_study(person, study))
    _allow(may_download_model(person, study), "the model is for its lead and its contributors")


def _visible(seen: bool) -> None:
    if not seen:
        raise Http404


def _allow(allowed: bool, advice: str) -> None:
    if not allowed:
        raise PermissionDenied(advice)


def _first_or_404(rows):
    row = rows.first()
    _visible(row is not None)
    return row
