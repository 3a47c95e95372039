"""Creates people, gives and takes their roles, and shuts out who has left: the operator's work."""

from getpass import getpass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.models import Institution, Person, Role
from studies.services import people
from studies.services.errors import RoleRefused

ROLES = ", ".join(Role.values)


class Command(BaseCommand):
    help = (
        "People of this hub: create NAME, grant NAME ROLE, revoke NAME ROLE, deactivate NAME, "
        "activate NAME. Sessions and open pages of somebody deactivated end at once; what they "
        "did stays. Who gave the command is written down with --by, another person's user name."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=sorted(_ACTS))
        parser.add_argument("name", help="the user name")
        parser.add_argument("role", nargs="?", choices=Role.values, help=f"one of {ROLES}")
        parser.add_argument("--at", metavar="INSTITUTION", help="the institution of a role (slug)")
        parser.add_argument("--by", metavar="NAME", help="who decided it")
        parser.add_argument("--full-name", default="", help="how a new person is called")

    def handle(self, **options: Any) -> None:
        try:
            self.stdout.write(_ACTS[options["act"]](options))
        except RoleRefused as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error


def _create(options: dict[str, Any]) -> str:
    password = getpass("Password: ")
    if getpass("The same again: ") != password:
        raise CommandError("the two passwords differ; nobody was created")
    name = options["full_name"]
    people.create_person(username=options["name"], password=password, name=name)
    return f"{options['name']} was created, without any role"


def _grant(options: dict[str, Any]) -> str:
    person, role, where = _person(options["name"]), _role(options), _where(options)
    people.grant(person, role, where, by=_by(options))
    return f"{person} is {role.label.lower()} at {where or 'the whole federation'}"


def _revoke(options: dict[str, Any]) -> str:
    person, role, where = _person(options["name"]), _role(options), _where(options)
    people.revoke(person, role, where, by=_by(options))
    return f"{person} is {role.label.lower()} at {where or 'the whole federation'} no more"


def _deactivate(options: dict[str, Any]) -> str:
    people.deactivate(_person(options["name"]), by=_by(options))
    return f"{options['name']} is shut out; what they did stays"


def _activate(options: dict[str, Any]) -> str:
    people.activate(_person(options["name"]), by=_by(options))
    return f"{options['name']} may log in again, with the roles as they were"


def _person(name: str) -> Person:
    found = Person.objects.filter(username=name).first()
    if found is None:
        raise CommandError(f"nobody is called {name!r} here; names are compared letter by letter")
    return found


def _by(options: dict[str, Any]) -> Person | None:
    return _person(options["by"]) if options["by"] else None


def _role(options: dict[str, Any]) -> Role:
    if options["role"] is None:
        raise CommandError(f"name the role: {ROLES}")
    return Role(options["role"])


def _where(options: dict[str, Any]) -> Institution | None:
    if options["at"] is None:
        return None
    found = Institution.objects.filter(slug=options["at"]).first()
    if found is None:
        raise CommandError(f"there is no institution {options['at']!r}")
    return found


_ACTS = {
    "create": _create,
    "grant": _grant,
    "revoke": _revoke,
    "deactivate": _deactivate,
    "activate": _activate,
}
