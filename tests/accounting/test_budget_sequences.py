"""Whatever happens to budgets in whatever order: never over, and replay and gate agree."""

from datetime import UTC, datetime

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounting.models import DatasetBudget, Entry
from accounting.selectors import commitments, histories, judging
from accounting.services import attesting, budgets, raising, returning
from accounting.services.attesting import AttestationRefused
from accounting.services.budgets import BudgetError
from accounting.services.ledger import BudgetExceeded, IllegalTransition, Limit
from accounting.services.verification import verify
from studies.models import Role, Study
from tests.accounting import builders as b
from tests.accounting import moves
from tests.accounting import world as w

WIDE = Limit(9.0, 1e-3)
PLACE = ("cleveland", "heart")
REFUSED = (BudgetError, BudgetExceeded, IllegalTransition, AttestationRefused)
studies_ = st.sampled_from(["heart", "lungs", "liver"])
spending = st.one_of(
    st.tuples(st.just("seal"), studies_, st.integers(1, 6)),
    st.tuples(st.just("reserve"), studies_, st.integers(1, 6)),
    st.tuples(st.just("again"), studies_, st.integers(2, 5)),
    st.tuples(st.just("abort"), studies_, st.integers(1, 6)),
    st.tuples(st.just("return"), studies_, st.just(0)),
)
changing = st.one_of(
    st.tuples(st.sampled_from(["raise", "lower"]), st.just(""), st.integers(2, 9)),
    st.tuples(st.sampled_from(["attest", "retract"]), st.just(""), st.just(0)),
)


class Acts:
    """Everything that may happen to one dataset, by the people who may do it."""

    def __init__(self) -> None:
        b.lend("cleveland", epsilon="3.0")
        self.house = b.institution("cleveland")
        self.admin = w.person("alex", Role.SITE_ADMIN, self.house)
        self.officer = w.person("olga", Role.COMPLIANCE_OFFICER)
        document = w.protocol("Heart")
        self.study = Study.objects.create(
            slug="heart",
            name="Heart",
            lead=self.admin,
            document=document.canonical().decode(),
            protocol_digest=document.digest,
        )
        budgets.lower(self.house, "heart", "1.5", by=self.admin, reason="begin small")

    def do(self, act: str, study: str, number: int) -> None:
        where = b.key(number=number, study=study)
        epsilon = str(number * 0.4)
        {
            "seal": lambda: b.seal(rounds=number, study=study, limit=WIDE),
            "reserve": lambda: b.reserve(where, limit=WIDE),
            "again": lambda: b.reserve(b.key(number=1, attempt=number, study=study), limit=WIDE),
            "abort": lambda: moves.abort(where, "not taken"),
            "return": lambda: returning.give_back(study),
            "raise": lambda: self.raise_to(epsilon),
            "lower": lambda: budgets.lower(self.house, "heart", epsilon, by=self.admin, reason="x"),
            "attest": lambda: attesting.attest(self.study, "compared", by=self.officer),
            "retract": lambda: attesting.withdraw(self.study, "overlap", by=self.officer),
        }[act]()

    def raise_to(self, epsilon: str) -> None:
        asked = raising.propose(self.house, "heart", epsilon, by=self.admin, reason="more")
        raising.approve(asked, by=self.officer, reason="yes", now=datetime.now(UTC))


def promised() -> bool:
    """Whether the budget holds every plan that is kept to, and of all others what they took."""
    spent, plans = histories.load(), commitments.standing()
    kept = {p.name[0]: p for p in plans.at(PLACE)}
    beyond = [
        study
        for study, plan in kept.items()
        if not judging.within(spent.merged_study(study, "cleveland").key(), plan.steps)
    ]
    for study in beyond:
        del plans.plans[kept[study].name]
    users = len(plans.users(spent, PLACE) | set(beyond))
    limit, order = judging.terms(DatasetBudget.objects.get())
    alone = users == 1 and kept and not beyond
    return judging.judge(plans.demand(spent, PLACE), limit, None if alone else order).fits


class Sequences(TestCase):
    @example([("seal", "heart", 6), ("seal", "lungs", 2), *[("again", "heart", 2)] * 2])
    @example([("reserve", "heart", 1), ("seal", "lungs", 6), ("again", "lungs", 3)])
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(spending, max_size=25))
    def test_every_promise_is_kept(self, sequence):
        acts = Acts()
        for act in sequence:
            try:
                acts.do(*act)
            except REFUSED:
                continue
            assert promised(), act
        verdict = verify()
        assert verdict.ok, verdict.sentence()

    @example([("raise", "", 6), ("seal", "heart", 6), ("lower", "", 2), ("raise", "", 7)])
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.one_of(spending, changing), max_size=25))
    def test_the_replay_agrees_with_the_gate(self, sequence):
        acts = Acts()
        for act in sequence:
            try:
                acts.do(*act)
            except REFUSED:
                continue
        verdict = verify()
        assert verdict.ok, verdict.sentence()
        kinds = Entry.objects.filter(kind="attested").count()
        assert attesting.attestations.in_force(acts.study) is None or kinds % 2 == 1
