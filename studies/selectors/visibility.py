"""What a person may see, as queries; asked anew for every request, so a lost role counts at once.

| role | studies | institutions | parts of a study |
|---|---|---|---|
| study lead | those it leads | all (to invite them) | all |
| site admin | those that invite its institution | its own | its own institution's |
| compliance officer | its institution's, or all | its own, or all | all |
| operator | none | all (whether they are up) | none |
"""

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from studies.models import Event, Institution, Membership, Participation, Person, Role, Study
from studies.states import StudyStatus

Visitor = Person | AnonymousUser


def memberships(person: Visitor, role: Role) -> QuerySet[Membership]:
    """The person's memberships in one role; none for somebody logged out or deactivated."""
    return Membership.objects.filter(person_id=person.pk, person__is_active=True, role=role)


def has_role(person: Visitor, role: Role) -> bool:
    """Whether the person has the role anywhere."""
    return memberships(person, role).exists()


def roles_of(person: Visitor) -> tuple[Role, ...]:
    """Every role the person has anywhere, in the order of Role."""
    held = set(
        Membership.objects.filter(person_id=person.pk, person__is_active=True).values_list(
            "role", flat=True
        )
    )
    return tuple(role for role in Role if role in held)


def administered(person: Visitor) -> QuerySet[Institution]:
    """The institutions whose site the person administers."""
    return Institution.objects.filter(
        pk__in=memberships(person, Role.SITE_ADMIN).values("institution")
    )


def overseen(person: Visitor) -> QuerySet[Institution]:
    """The institutions that the person oversees as compliance officer."""
    officer = memberships(person, Role.COMPLIANCE_OFFICER)
    if officer.filter(institution=None).exists():
        return Institution.objects.all()
    return Institution.objects.filter(pk__in=officer.values("institution"))


def oversees_everything(person: Visitor) -> bool:
    """Whether the person is compliance officer of the whole federation."""
    return memberships(person, Role.COMPLIANCE_OFFICER).filter(institution=None).exists()


def institutions_for(person: Visitor) -> QuerySet[Institution]:
    """The institutions the person may know of."""
    if has_role(person, Role.STUDY_LEAD) or has_role(person, Role.OPERATOR):
        return Institution.objects.all()
    return offered_to(person)


def offered_to(person: Visitor) -> QuerySet[Institution]:
    """The institutions whose offer the person may read: what they lend, and what it has left."""
    own, read = administered(person).values("pk"), overseen(person).values("pk")
    return Institution.objects.filter(Q(pk__in=own) | Q(pk__in=read))


def led_studies(person: Visitor) -> QuerySet[Study]:
    """The person's own studies, as long as the person is a study lead."""
    if not has_role(person, Role.STUDY_LEAD):
        return Study.objects.none()
    return Study.objects.filter(lead_id=person.pk)


def overseen_studies(person: Visitor) -> QuerySet[Study]:
    """The submitted studies that the person reads as compliance officer."""
    if oversees_everything(person):
        return Study.objects.exclude(status=StudyStatus.DRAFT)
    mine = Participation.objects.filter(institution__in=overseen(person))
    return Study.objects.filter(pk__in=mine.values("study"))


def invited_studies(person: Visitor) -> QuerySet[Study]:
    """The studies that invite an institution whose site the person administers."""
    mine = Participation.objects.filter(institution__in=administered(person))
    return Study.objects.filter(pk__in=mine.values("study"))


def studies_for(person: Visitor) -> QuerySet[Study]:
    """Every study the person may open."""
    led, invited = led_studies(person), invited_studies(person)
    read = overseen_studies(person)
    return Study.objects.filter(Q(pk__in=led) | Q(pk__in=invited) | Q(pk__in=read))


def sees_whole(person: Visitor, study: Study) -> bool:
    """Whether the person sees every institution's part of the study: its lead, its officers."""
    return (
        led_studies(person).filter(pk=study.pk).exists()
        or overseen_studies(person).filter(pk=study.pk).exists()
    )


def institutions_in(person: Visitor, study: Study) -> QuerySet[Institution]:
    """The institutions whose part in the study the person may see."""
    invited = Institution.objects.filter(participations__study=study)
    if sees_whole(person, study):
        return invited
    return invited.filter(pk__in=administered(person).values("pk"))


def participations_for(person: Visitor, study: Study) -> QuerySet[Participation]:
    """The study's participations that the person may see."""
    return study.participations.filter(institution__in=institutions_in(person, study))


def events_for(person: Visitor, study: Study) -> QuerySet[Event]:
    """The study's events that the person may read: another institution's own events never."""
    if not studies_for(person).filter(pk=study.pk).exists():
        return Event.objects.none()
    if sees_whole(person, study):
        return study.events.all()
    own = Q(institution=None) | Q(institution__in=administered(person))
    return study.events.filter(own)


def all_events_for(person: Visitor) -> QuerySet[Event]:
    """Every event the person may read, of studies and of institutions, for the home page.

    An event that is about no study is its institution's own: for those who may read its offer.
    """
    whole = Q(study__in=led_studies(person)) | Q(study__in=overseen_studies(person))
    invited = Q(study__in=invited_studies(person)) & (
        Q(institution=None) | Q(institution__in=administered(person))
    )
    alone = Q(study=None, institution__in=offered_to(person))
    federation = Q(study=None, institution=None) & Q(pk__isnull=not oversees_everything(person))
    return Event.objects.filter(whole | invited | alone | federation)
