"""A budget is raised by two people, for a reason, never above what the site's own file says."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounting.models import DatasetBudget, Entry, RaiseRequest
from accounting.services import budgets, raising
from accounting.services.budgets import BudgetError
from accounting.services.ledger import Limit, PlanExceeds
from accounting.services.raising import RaiseRefused
from accounting.services.verification import verify
from studies.models import Event, Role
from studies.services import people
from tests.accounting import builders as b
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
WHY = "the ethics board agreed"


@pytest.fixture
def house():
    """Cleveland lends 4.0 and its admin lowered that to 1.0."""
    b.lend("cleveland", epsilon="4.0")
    made = b.institution("cleveland")
    budgets.lower(made, "heart", "1.0", by=w.person("first"), reason="begin small")
    return made


@pytest.fixture
def admin(house):
    return w.person("alex", Role.SITE_ADMIN, house)


@pytest.fixture
def officer(house):
    return w.person("olga", Role.COMPLIANCE_OFFICER, house)


@pytest.fixture
def asked(house, admin):
    return raising.propose(house, "heart", "2.5", by=admin, reason=WHY)


def budget() -> str:
    return DatasetBudget.objects.get().epsilon


def test_two_people_raise_it_and_the_ledger_says_who_and_why(asked, admin, officer):
    assert budget() == "1.0"
    raising.approve(asked, by=officer, reason="I read the vote")
    assert budget() == "2.5"
    body = json.loads(Entry.objects.get(kind="raised").body)
    told = {name: body[name] for name in ("before", "epsilon", "site_cap", "reason")}
    assert told == {"before": "1.0", "epsilon": "2.5", "site_cap": "4.0", "reason": WHY}
    assert (body["proposed_by"], body["approved_by"]) == ("alex", "olga")
    assert body["idempotency_key"] == "/cleveland/heart/declared/3"
    assert verify().ok
    kinds = Event.objects.filter(kind__startswith="budget_raise").values_list("kind", flat=True)
    assert list(kinds.order_by("pk")) == ["budget_raise_proposed", "budget_raised"]


def test_a_study_that_did_not_fit_fits_then(asked, officer):
    wide = Limit(9.0, 1e-3)
    with pytest.raises(PlanExceeds):
        b.seal(rounds=8, limit=wide)
    raising.approve(asked, by=officer, reason="yes")
    b.seal(rounds=8, limit=wide)
    for number in range(1, 9):
        b.reserve(b.key(number=number), limit=wide)
    assert verify().ok


def test_the_order_of_the_filter_stays_once_something_is_spent(asked, officer):
    b.whole_round(b.key())
    order = DatasetBudget.objects.get().filter_order
    raising.approve(asked, by=officer, reason="yes")
    assert DatasetBudget.objects.get().filter_order == order
    b.reserve(b.key(number=2, study="lungs"))
    assert verify().ok


@pytest.mark.parametrize(
    ("epsilon", "reason", "says"),
    [
        ("4.5", WHY, "at most ε = 4.0"),
        ("1.0", WHY, "name a higher one"),
        ("2.5", "  ", "give the reason"),
        ("much", WHY, "epsilon is"),
    ],
)
def test_what_cannot_be_proposed(house, admin, epsilon, reason, says):
    with pytest.raises(BudgetError, match=says):
        raising.propose(house, "heart", epsilon, by=admin, reason=reason)
    assert not RaiseRequest.objects.exists()


def test_only_the_house_proposes_and_one_at_a_time(house, asked, admin, officer):
    with pytest.raises(RaiseRefused, match="no site admin of Cleveland"):
        raising.propose(house, "heart", "2.0", by=officer, reason=WHY)
    with pytest.raises(RaiseRefused, match="waits already"):
        raising.propose(house, "heart", "2.0", by=admin, reason=WHY)


def test_nobody_raises_alone(house, asked, admin):
    people.grant(admin, Role.COMPLIANCE_OFFICER)
    with pytest.raises(RaiseRefused, match="needs two people"):
        raising.approve(asked, by=admin, reason="I agree with myself")
    assert budget() == "1.0"


def test_an_officer_of_another_house_decides_nothing(asked):
    other = w.person("olaf", Role.COMPLIANCE_OFFICER, b.institution("zurich"))
    for decide in (raising.approve, raising.reject):
        with pytest.raises(RaiseRefused, match="only a compliance officer of Cleveland"):
            decide(asked, by=other, reason="yes")


def test_rejected_it_stays_and_may_be_proposed_anew(house, asked, admin, officer):
    raising.reject(asked, by=officer, reason="not this year")
    with pytest.raises(RaiseRefused, match="this proposal is rejected"):
        raising.approve(asked, by=officer, reason="yes")
    assert budget() == "1.0"
    assert Event.objects.get(kind="budget_raise_rejected").payload["reason"] == "not this year"
    raising.propose(house, "heart", "2.0", by=admin, reason=WHY)


def test_withdrawn_by_its_house_it_is_over(asked, admin, officer):
    with pytest.raises(RaiseRefused, match="no site admin"):
        raising.withdraw(asked, by=officer)
    raising.withdraw(asked, by=admin)
    with pytest.raises(RaiseRefused, match="this proposal is withdrawn"):
        raising.approve(asked, by=officer, reason="yes")


def test_after_fourteen_days_it_has_lapsed(house, asked, admin, officer):
    late = asked.proposed_at + timedelta(days=14)
    with pytest.raises(RaiseRefused, match="this proposal is expired"):
        raising.approve(asked, by=officer, reason="yes", now=late)
    again = raising.propose(house, "heart", "2.0", by=admin, reason=WHY, now=late)
    raising.approve(again, by=officer, reason="yes", now=late + timedelta(days=13))
    asked.refresh_from_db()
    assert (asked.status, budget()) == ("expired", "2.0")


def test_what_changed_since_is_not_approved(house, asked, admin, officer):
    budgets.lower(house, "heart", "0.8", by=admin, reason="less")
    with pytest.raises(RaiseRefused, match=r"is ε = 0\.8 now, and was 1\.0"):
        raising.approve(asked, by=officer, reason="yes")


def test_a_cap_that_fell_since_holds(house, asked, officer):
    b.lend("cleveland", epsilon="2.0")
    with pytest.raises(RaiseRefused, match=r"at most ε = 2\.0"):
        raising.approve(asked, by=officer, reason="yes")
    assert budget() == "1.0"


def test_who_lost_the_role_meanwhile_proposes_nothing(house, asked, admin, officer):
    people.revoke(admin, Role.SITE_ADMIN, house)
    with pytest.raises(RaiseRefused, match="is no site admin of Cleveland"):
        raising.approve(asked, by=officer, reason="yes")


@pytest.fixture
def page(client, asked, officer):
    """The page of the proposal, opened by the officer, whose password is known."""
    officer.set_password("long enough 5")
    officer.save()
    client.force_login(officer)
    address = reverse("raise-decide", args=[asked.pk])
    return lambda **sent: client.post(address, sent, follow=True) if sent else client.get(address)


def test_approving_asks_for_the_password_again(page):
    assert "From ε = 1.0 to ε = 2.5" in page().content.decode()
    wrong = page(action="approve", reason="yes", password="guess").content.decode()
    assert "This is not your password" in wrong
    assert budget() == "1.0"
    page(action="approve", reason="yes", password="long enough 5")
    assert budget() == "2.5"
    assert "Approved" in page().content.decode()


def test_the_officer_rejects_on_the_page(page, asked):
    page(action="reject", reason="no", password="long enough 5")
    asked.refresh_from_db()
    assert (asked.status, asked.answer) == ("rejected", "no")


def test_an_unknown_action_does_nothing(page, asked):
    page(action="delete", reason="no", password="long enough 5")
    asked.refresh_from_db()
    assert asked.status == "proposed"


def test_the_admin_proposes_and_withdraws_on_the_pages(client, house, admin):
    client.force_login(admin)
    address = reverse("budget-raise", args=[DatasetBudget.objects.get().pk])
    assert "At most ε = 4.0" in client.get(address).content.decode()
    assert "in force already" not in client.get(address).content.decode()
    bad = client.post(address, {"epsilon": "9", "reason": WHY}, follow=True).content.decode()
    assert "at most ε = 4.0" in bad
    listed = client.post(address, {"epsilon": "2", "reason": WHY}, follow=True).content.decode()
    asked = RaiseRequest.objects.get()
    assert reverse("raise-decide", args=[asked.pk]) in listed
    own = client.get(reverse("raise-decide", args=[asked.pk])).content.decode()
    assert "Withdraw the proposal" in own
    assert "password" not in own
    client.post(reverse("raise-decide", args=[asked.pk]), {"action": "withdraw"})
    asked.refresh_from_db()
    assert asked.status == "withdrawn"
    assert asked.decided_at <= timezone.now()


def test_a_budget_at_its_cap_tells_the_way_to_raise_the_cap(client, house, admin, asked, officer):
    row = DatasetBudget.objects.get()
    row.epsilon = row.site_cap
    row.save(update_fields=["epsilon"])
    client.force_login(admin)
    page = client.get(reverse("budget-raise", args=[row.pk])).content.decode()
    assert "in force already" in page
    assert "lifetime_epsilon" in page
