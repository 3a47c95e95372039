"""Every rule for every person: what is not yours does not exist, what is not your turn is 403."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from studies import access
from studies.models import Event, Role
from studies.selectors import visibility
from studies.selectors.actions import participation_actions, study_actions
from studies.services import institutions, people

EVERYONE = ("ada", "boris", "carla", "bela", "zoe", "olga", "otto", "olaf", "petra", "nobody")
# rule → who passes, on Ada's submitted study of Cleveland and Budapest, and on Cleveland
RULES = {
    "may_see_study": {"ada", "carla", "bela", "olga", "otto"},
    "may_lead": {"ada"},
    "may_download_model": {"ada"},  # before anybody approved
    "may_read_report": {"ada", "olga", "otto"},
    "sees_whole": {"ada", "olga", "otto"},
    "may_attest": {"ada", "olga", "otto"},
}
HOUSE_RULES = {
    "may_see_institution": {"ada", "boris", "carla", "olga", "otto", "petra"},
    "may_administer": {"carla"},
    "may_issue_token": {"carla"},
    "may_read_offer": {"carla", "olga", "otto"},
    "may_lower_budget": {"carla"},
    "may_propose_raise": {"carla"},
    "may_decide_raise": {"olga", "otto"},
}
PERSON_RULES = {
    "may_create_study": {"ada", "boris"},
    "may_register_institution": {"ada", "boris"},
    "may_read_ledger": {"carla", "bela", "zoe", "olga", "otto", "olaf"},
    "may_verify_ledger": {"olga", "otto", "olaf"},
    "may_read_alerts": {"carla", "bela", "zoe", "olga", "otto", "olaf"},
    "may_explain": {"olga", "otto", "olaf"},
}
ELSEWHERE = {"may_see_part", "may_act", "may_decide"}  # tested below by name


def test_no_rule_escapes_this_file():
    rules = {name for name in vars(access) if name.startswith("may_")}
    assert rules <= set(RULES) | set(HOUSE_RULES) | set(PERSON_RULES) | ELSEWHERE


@pytest.mark.parametrize("rule", sorted(RULES))
def test_rules_on_a_study(rule, submitted, cast):
    passed = {name for name in EVERYONE if getattr(access, rule)(getattr(cast, name), submitted)}
    assert passed == RULES[rule]


@pytest.mark.parametrize("rule", sorted(HOUSE_RULES))
def test_rules_on_an_institution(rule, hospitals, cast):
    house = hospitals.cleveland
    passed = {name for name in EVERYONE if getattr(access, rule)(getattr(cast, name), house)}
    assert passed == HOUSE_RULES[rule]


@pytest.mark.parametrize("rule", sorted(PERSON_RULES))
def test_rules_on_nothing_in_particular(rule, cast):
    passed = {name for name in EVERYONE if getattr(access, rule)(getattr(cast, name))}
    assert passed == PERSON_RULES[rule]


def test_officers_of_all_oversee_everything(cast):
    assert [n for n in EVERYONE if visibility.oversees_everything(getattr(cast, n))] == ["olga"]


def test_who_is_logged_out_may_nothing(submitted, hospitals):
    stranger = AnonymousUser()
    for rule in RULES:
        assert not getattr(access, rule)(stranger, submitted)
    for rule in HOUSE_RULES:
        assert not getattr(access, rule)(stranger, hospitals.cleveland)
    for rule in PERSON_RULES:
        assert not getattr(access, rule)(stranger)
    assert not visibility.all_events_for(stranger).exists()


def test_a_superuser_flag_grants_nothing(submitted, cast):
    cast.nobody.is_superuser = cast.nobody.is_staff = True
    cast.nobody.save()
    assert not access.may_see_study(cast.nobody, submitted)
    assert not access.may_lead(cast.nobody, submitted)


@pytest.mark.parametrize("name", EVERYONE)
def test_a_draft_is_its_leads_alone(name, draft, cast):
    assert access.may_see_study(getattr(cast, name), draft) == (name == "ada")


PARTS = {"ada": 2, "olga": 2, "otto": 2, "carla": 1, "bela": 1}


@pytest.mark.parametrize("name", EVERYONE)
def test_parts_of_a_study(name, submitted, hospitals, cast):
    someone = getattr(cast, name)
    seen = {row.institution.slug for row in access.participations_for(someone, submitted)}
    assert len(seen) == PARTS.get(name, 0)
    for house in vars(hospitals).values():
        assert access.may_see_part(someone, submitted, house) == (house.slug in seen)
        assert access.may_read_report(someone, submitted, house) == (house.slug in seen)


@pytest.mark.parametrize("name", EVERYONE)
def test_getters_raise_404_for_what_is_not_yours(name, submitted, cast):
    someone, mine = getattr(cast, name), name in RULES["may_see_study"]
    assert found(access.study_or_404, someone, "heart-disease") == mine
    assert found(access.study_or_404, someone, "heart-attack") is False
    house = name in HOUSE_RULES["may_see_institution"]
    assert found(access.institution_or_404, someone, "cleveland") == house
    own = name in {"ada", "olga", "otto", "carla"}
    assert found(access.participation_or_404, someone, "heart-disease", "cleveland") == own
    assert found(access.participation_or_404, someone, "heart-disease", "zurich") is False


def found(getter, *arguments) -> bool:
    try:
        return bool(getter(*arguments))
    except Http404:
        return False


@pytest.mark.parametrize("name", EVERYONE)
def test_gates_hide_first_and_forbid_second(name, submitted, part, hospitals, cast):
    someone, row, house = getattr(cast, name), part("cleveland"), hospitals.cleveland
    sees, knows = name in RULES["may_see_study"], name in HOUSE_RULES["may_see_institution"]
    own = name in {"ada", "olga", "otto", "carla"}
    gates = (
        (access.require_action, (submitted, "start"), sees, name == "ada"),
        (access.require_action, (submitted, "fail"), sees, False),
        (access.require_download_model, (submitted,), sees, name == "ada"),
        (access.require_decide, (row,), own, name == "carla"),
        (access.require_administer, (house,), knows, name == "carla"),
        (access.require_issue_token, (house,), knows, name == "carla"),
        (access.require_create_study, (), True, name in {"ada", "boris"}),
        (access.require_register_institution, (), True, name in {"ada", "boris"}),
    )
    for gate, arguments, visible, allowed in gates:
        expected = None if visible and allowed else PermissionDenied if visible else Http404
        assert outcome(gate, someone, *arguments) is expected, gate.__name__


def outcome(gate, *arguments) -> type[Exception] | None:
    try:
        gate(*arguments)
    except (Http404, PermissionDenied) as error:
        return type(error)
    return None


def test_a_lead_gives_a_token_only_to_an_institution_that_never_had_a_site(hospitals, cast):
    assert not access.may_issue_token(cast.ada, hospitals.zurich)
    hospitals.zurich.site_key = ""
    assert access.may_issue_token(cast.ada, hospitals.zurich)
    assert not access.may_issue_token(cast.petra, hospitals.zurich)


def test_a_revoked_key_opens_no_door_to_a_lead(hospitals, cast):
    """Or a lead could enrol a key of their own and give back what the real site charged."""
    institutions.revoke_key(hospitals.zurich, by=cast.zoe)
    hospitals.zurich.refresh_from_db()
    assert not access.may_issue_token(cast.ada, hospitals.zurich)
    with pytest.raises(PermissionDenied):
        access.require_issue_token(cast.ada, hospitals.zurich)
    assert access.may_issue_token(cast.zoe, hospitals.zurich)
    token = institutions.issue_token(hospitals.zurich, by=cast.zoe)
    assert institutions.enrol(token, "5a" * 32).site_key == "5a" * 32
    assert not access.may_issue_token(cast.ada, hospitals.zurich)


def test_contributors_get_the_model(approved, cast):
    assert access.may_download_model(cast.carla, approved)
    assert not access.may_download_model(cast.zoe, approved)


LOST = {
    "ada": (Role.STUDY_LEAD, None),
    "carla": (Role.SITE_ADMIN, "cleveland"),
    "olga": (Role.COMPLIANCE_OFFICER, None),
    "otto": (Role.COMPLIANCE_OFFICER, "cleveland"),
}


@pytest.mark.parametrize("name", sorted(LOST))
def test_a_role_taken_away_counts_at_once(name, submitted, hospitals, cast):
    someone, (role, slug) = getattr(cast, name), LOST[name]
    assert access.study_or_404(someone, submitted.slug) == submitted
    people.revoke(someone, role, slug and getattr(hospitals, slug), by=cast.petra)
    with pytest.raises(Http404):
        access.study_or_404(someone, submitted.slug)
    assert not access.events_for(someone, submitted).exists()
    assert study_actions(someone, submitted) == []


OWN_EVENTS = {"ada": "ab", "olga": "ab", "otto": "ab", "carla": "a", "bela": "b"}


@pytest.mark.parametrize("name", EVERYONE)
def test_events_of_another_institution_do_not_exist(name, submitted, hospitals, cast):
    someone = getattr(cast, name)
    rows = {
        house: Event.objects.filter(study=submitted, institution__slug=slug).first()
        for house, slug in (("a", "cleveland"), ("b", "budapest"))
    }
    for house, event in rows.items():
        seen = house in OWN_EVENTS.get(name, "")
        assert visibility.all_events_for(someone).filter(pk=event.pk).exists() == seen
        assert access.events_for(someone, submitted).filter(pk=event.pk).exists() == seen
    together = Event.objects.get(study=submitted, kind="study_submitted")
    told = visibility.all_events_for(someone).filter(pk=together.pk).exists()
    assert told == (name in RULES["may_see_study"])


def test_each_person_is_offered_exactly_their_moves(submitted, part, cast):
    names = [action.name for action in study_actions(cast.ada, submitted)]
    assert names == ["revise", "start", "withdraw"]
    start = study_actions(cast.ada, submitted)[1]
    assert (start.ready, start.why_not) == (
        False,
        "Budapest has not decided yet; Cleveland has not decided yet",
    )
    assert study_actions(cast.boris, submitted) == study_actions(cast.carla, submitted) == []
    row = part("cleveland")
    decisions = [action.name for action in participation_actions(cast.carla, row)]
    assert decisions == ["approve", "decline", "withdraw"]
    assert participation_actions(cast.bela, row) == participation_actions(cast.ada, row) == []
