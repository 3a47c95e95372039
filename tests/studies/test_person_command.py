"""The operator's command about people: who may log in, as what, and who no more."""

import io

import pytest
from django.core.management import CommandError, call_command

from studies import access
from studies.management.commands import person as module
from studies.models import Event, Person, Role

STRONG = "many quiet rivers"


def said(*arguments: str, **options: str) -> str:
    out = io.StringIO()
    call_command("person", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def typed(monkeypatch):
    """What somebody types at the password prompts."""

    def types(*answers: str) -> None:
        left = iter(answers)
        monkeypatch.setattr(module, "getpass", lambda prompt: next(left))

    return types


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


def test_a_person_is_created_and_can_log_in(db, client, typed):
    typed(STRONG, STRONG)
    assert "without any role" in said("create", "nora", full_name="Nora New")
    assert client.login(username="nora", password=STRONG)
    assert Person.objects.get(username="nora").get_full_name() == "Nora New"


@pytest.mark.parametrize("answers", [(STRONG, "another"), ("short", "short")])
def test_nobody_is_created_with_a_bad_password(db, typed, answers):
    typed(*answers)
    with pytest.raises(CommandError):
        said("create", "nora")
    assert not Person.objects.filter(username="nora").exists()


def test_roles_are_given_and_taken(cast, hospitals):
    said("grant", "olga", "site_admin", "--at", "cleveland", "--by", "petra")
    assert Role.SITE_ADMIN in access.roles_of(cast.olga)
    assert Event.objects.last().by == cast.petra
    said("revoke", "olga", "site_admin", "--at", "cleveland")
    assert Role.SITE_ADMIN not in access.roles_of(cast.olga)
    with pytest.raises(CommandError, match="nothing to take"):
        said("revoke", "olga", "site_admin", "--at", "cleveland")


def test_who_leaves_is_shut_out_at_once_and_may_come_back(cast, client):
    client.force_login(cast.olga)
    assert client.get("/violations/").status_code == 200
    said("deactivate", "olga", "--by", "petra")
    assert client.get("/violations/").status_code == 302, "the session is over"
    assert access.roles_of(cast.olga) == ()
    said("deactivate", "olga")
    assert kinds().count("person_deactivated") == 1
    said("activate", "olga")
    assert access.roles_of(Person.objects.get(pk=cast.olga.pk)) != ()
    assert kinds()[-1] == "person_activated"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("deactivate", "ghost"), "nobody is called 'ghost'"),
        (("grant", "olga"), "name the role"),
        (("grant", "olga", "site_admin"), "needs an institution"),
        (("grant", "olga", "site_admin", "--at", "atlantis"), "no institution 'atlantis'"),
        (("grant", "olga", "operator", "--by", "ghost"), "nobody is called 'ghost'"),
    ],
)
def test_a_mistake_is_advice(cast, arguments, says):
    with pytest.raises(CommandError, match=says):
        said(*arguments)
