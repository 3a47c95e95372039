"""Every address of the hub, walked as everybody; an address that no row names fails the test.

The site API is not for people and is walked in tests/federation.
"""

from dataclasses import dataclass

import pytest
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from accounting.models import RaiseRequest, SiteDifference
from accounting.reports.scopes import Scope
from accounting.services import budgets, reports
from studies.models import Institution, Person
from studies.services import events

PEOPLE = frozenset(
    ("ada", "boris", "carla", "bela", "zoe", "olga", "otto", "olaf", "petra", "nobody")
)
LEADS = frozenset(("ada", "boris"))
IN_STUDY = frozenset(("ada", "carla", "bela", "olga", "otto"))  # may open the submitted study
KNOW_HOUSE = frozenset(("ada", "boris", "carla", "olga", "otto", "petra"))  # know of Cleveland
OF_HOUSE = frozenset(("carla", "olga", "otto"))  # read what Cleveland lends
SEE_PART = frozenset(("ada", "carla", "olga", "otto"))  # see Cleveland's part in the study
OFFICERS = frozenset(("olga", "otto", "olaf"))
HEAR = PEOPLE - LEADS - {"petra", "nobody"}  # hear of alerts
NONE = frozenset()
DATASETS = [{"name": "heart", "lineage": "heart-1988", "epsilon": "3", "delta": "0.001"}]


@dataclass(frozen=True)
class Row:
    """`fine` get `answer`, `denied` get 403; for everybody else it does not exist (404)."""

    fine: frozenset[str]
    denied: frozenset[str] = NONE
    arguments: tuple[str, ...] = ()
    post: bool = False
    answer: int = 200
    query: str = ""

    def status(self, name: str) -> int:
        if name in self.fine:
            return self.answer
        return 403 if name in self.denied else 404


STUDY, PART = ("heart-disease",), ("heart-disease", "cleveland")
HOUSE = ("cleveland",)
LENT = "the number of what Cleveland lends"
ISSUED = "the digest of the report that was issued about Cleveland"
ASKED = "the number of the request for another"
OF_CLEVELAND = Scope(institution="cleveland")
OWN = f"?{OF_CLEVELAND.text}"
ALERT = "the number of an alert about Cleveland"
DIFFERS = "the number of a difference in Cleveland's journal"
RAISE = "the number of a proposal to raise that budget"
UNUSED = "0"
ROWS = {
    "home": Row(PEOPLE),
    "panel-home": Row(PEOPLE),
    "panel-verdict": Row(OFFICERS),
    "logout": Row(PEOPLE, post=True, answer=302),
    "institutions": Row(PEOPLE),
    "institution-new": Row(LEADS, PEOPLE),
    "institution": Row(KNOW_HOUSE, arguments=HOUSE),
    "institution-token": Row(frozenset(("carla",)), KNOW_HOUSE, HOUSE, post=True),
    "institution-revoke": Row(frozenset(("carla",)), KNOW_HOUSE, HOUSE),
    "panel-house": Row(OF_HOUSE, arguments=HOUSE),
    "planner": Row(LEADS, PEOPLE, post=True),
    "studies": Row(PEOPLE),
    "study-new": Row(LEADS, PEOPLE),
    "study-import": Row(LEADS, PEOPLE),
    "study": Row(IN_STUDY, arguments=STUDY),
    "study-edit": Row(frozenset(("ada",)), IN_STUDY, STUDY),
    "study-edit-import": Row(frozenset(("ada",)), IN_STUDY, STUDY),
    "study-protocol": Row(IN_STUDY, arguments=STUDY),
    "study-export": Row(IN_STUDY, arguments=STUDY),
    "study-action": Row(frozenset(("ada",)), IN_STUDY, (*STUDY, "withdraw")),
    "panel-head": Row(IN_STUDY, arguments=STUDY),
    "panel-participations": Row(IN_STUDY, arguments=STUDY),
    "panel-events": Row(IN_STUDY, arguments=STUDY),
    "panel-rounds": Row(IN_STUDY, arguments=STUDY),
    "panel-utility": Row(IN_STUDY, arguments=STUDY),
    "panel-audit": Row(IN_STUDY, arguments=STUDY),
    "panel-progress": Row(IN_STUDY, arguments=STUDY),
    "panel-budget": Row(IN_STUDY, arguments=STUDY),
    "panel-lending": Row(OF_HOUSE, arguments=PART),
    "study-approve": Row(frozenset(("carla",)), SEE_PART, PART),
    "participation-action": Row(frozenset(("carla",)), SEE_PART, (*PART, "decline")),
    "violations": Row(HEAR),
    "explain": Row(frozenset(("olga", "otto")), frozenset(("carla",)), (ALERT,)),
    "subscribe": Row(HEAR, post=True),
    "unsubscribe": Row(
        PEOPLE - LEADS - {"petra", "nobody"}, arguments=(UNUSED,), post=True, answer=302
    ),
    "round-close": Row(NONE, IN_STUDY - {"ada"}, STUDY),  # the lead: no such round now
    "round-cancel": Row(NONE, IN_STUDY - {"ada"}, STUDY),
    "model-download": Row(NONE, IN_STUDY - {"ada"}, STUDY),  # the lead: no model yet
    "model-card": Row(NONE, IN_STUDY - {"ada"}, STUDY),
    "journals": Row(PEOPLE - LEADS - {"petra", "nobody"}),
    "journal-explain": Row(
        frozenset(("carla",)), frozenset(("olga", "otto")), (DIFFERS,), post=True, answer=302
    ),
    "ledger": Row(PEOPLE - {"petra", "nobody"}),
    "ledger-bundle": Row(frozenset(("olga",)), PEOPLE),
    "verifier": Row(PEOPLE),
    "study-bundle": Row(IN_STUDY - {"ada"}, frozenset(("ada",)), STUDY),
    "ledger-verify": Row(OFFICERS, PEOPLE - {"petra", "nobody"}, post=True, answer=302),
    "budget-lower": Row(frozenset(("carla",)), arguments=(LENT,)),
    "budget-raise": Row(frozenset(("carla",)), arguments=(LENT,)),
    "raise-decide": Row(OF_HOUSE, arguments=(RAISE,)),
    "study-attest": Row(frozenset(("ada", "olga", "otto")), IN_STUDY, STUDY),
    "ledger-study": Row(IN_STUDY, arguments=STUDY),
    "ledger-json": Row(IN_STUDY - {"ada"}, frozenset(("ada",)), STUDY),
    "report": Row(IN_STUDY, arguments=STUDY),
    "report-json": Row(IN_STUDY, arguments=STUDY),
    "report-csv": Row(IN_STUDY, arguments=STUDY),
    "report-pdf": Row(IN_STUDY, arguments=STUDY),
    "reports": Row(PEOPLE - {"petra", "nobody"}),
    "report-show": Row(OF_HOUSE, query=OWN),
    "report-show-file": Row(OF_HOUSE, arguments=("json",), query=OWN),
    "report-issue": Row(
        frozenset(("olga", "otto")), frozenset(("carla",)), post=True, answer=302, query=OWN
    ),
    "report-schedule": Row(
        frozenset(("olga", "otto")), frozenset(("carla",)), post=True, answer=302, query=OWN
    ),
    "report-schedule-end": Row(
        PEOPLE - {"petra", "nobody"}, arguments=(UNUSED,), post=True, answer=302
    ),
    "report-schema": Row(PEOPLE),
    "report-request": Row(OF_HOUSE, arguments=(ASKED,)),
    "panel-report-request": Row(OF_HOUSE, arguments=(ASKED,)),
    "issued-report": Row(OF_HOUSE, arguments=(ISSUED,)),
    "issued-report-file": Row(OF_HOUSE, arguments=(ISSUED, "csv")),
    "report-sign": Row(OF_HOUSE, arguments=(ISSUED,)),
}
OPEN = {"login"}  # for whoever is not logged in


def every_name() -> set[str]:
    found = set()
    pending = [("", get_resolver())]
    while pending:
        prefix, resolver = pending.pop()
        for entry in resolver.url_patterns:
            route = prefix + str(entry.pattern)
            if route.startswith("site-api/"):
                continue
            if isinstance(entry, URLPattern):
                assert entry.name, f"{route} has no name"
                found.add(entry.name)
            else:
                pending.append((route, entry))
    return found


def asked() -> RaiseRequest:
    """A proposal that waits for an officer of Cleveland."""
    about = {"institution": "cleveland", "lineage": "heart-1988"}
    made = {"before": "3", "epsilon": "4", "reason": "more", "proposed_at": timezone.now()}
    by = Person.objects.get(username="carla")
    return RaiseRequest.objects.get_or_create(**about, defaults={**made, "proposed_by": by})[0]


def address(name: str) -> str:
    """Where the row's address lies; what Cleveland lends is numbered by the database."""
    cleveland = Institution.objects.get(slug="cleveland")
    numbers = {
        LENT: lambda: budgets.declare(cleveland, DATASETS)[0].pk,
        ISSUED: lambda: reports.issue(OF_CLEVELAND, second_opinion=False).sha256,
        ASKED: lambda: reports.ask(OF_CLEVELAND, Person.objects.get(username="otto")).pk,
        RAISE: lambda: asked().pk,
        ALERT: lambda: events.record("budget_low", institution=cleveland, what="x", percent=81).pk,
    }
    numbers[DIFFERS] = lambda: a_difference(cleveland).pk
    known = [numbers.get(a, lambda a=a: a)() for a in ROWS[name].arguments]
    return reverse(name, args=known) + ROWS[name].query


def a_difference(house: Institution) -> SiteDifference:
    """One that nobody explained yet."""
    fields = {"institution": house.slug, "what": "replaced", "hub": {}, "site": {}}
    key = str(SiteDifference.objects.count())
    return SiteDifference.objects.create(key=key, found_at=timezone.now(), **fields)


def ask(client, name: str):
    return (client.post if ROWS[name].post else client.get)(address(name))


def test_every_address_is_listed():
    assert every_name() == set(ROWS) | OPEN


@pytest.mark.parametrize("name", ROWS)
def test_whom_it_answers(name, submitted, cast, browse):
    answers = {who: ask(browse(getattr(cast, who)), name).status_code for who in sorted(PEOPLE)}
    assert answers == {who: ROWS[name].status(who) for who in sorted(PEOPLE)}


@pytest.mark.parametrize("name", ROWS)
def test_nobody_is_served_without_logging_in(name, submitted, browse):
    answer = ask(browse(), name)
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("login"))


OF_A_STUDY = [name for name, row in ROWS.items() if "heart-disease" in row.arguments]


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_what_is_not_there_looks_like_what_is_not_yours(name, submitted, cast, browse):
    """The bodies are equal but for the token of the forms: a foreign slug cannot be probed."""
    row = ROWS[name]
    client = browse(cast.zoe)
    absent = reverse(name, args=("no-such-study", *row.arguments[1:]))
    method = client.post if row.post else client.get
    foreign, missing = ask(client, name), method(absent)
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert without_tokens(foreign) == without_tokens(missing)


def without_tokens(answer) -> list[str]:
    return [line for line in answer.content.decode().splitlines() if "csrf" not in line.lower()]
