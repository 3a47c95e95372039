"""Whatever legal things happen in whatever order: charged ≥ released, and the ledger verifies."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounting.dp.accountants import epsilon
from accounting.models import Entry
from accounting.selectors import claims, spending
from accounting.services import ledger
from accounting.services.ledger import BudgetExceeded, IllegalTransition, Limit
from accounting.services.verification import verify
from tests.accounting import builders as b
from tests.accounting import moves

ACTS = {
    "reserve": lambda key: b.reserve(key, limit=Limit(0.9, 1e-3)),
    "charge": ledger.charge,
    "release": lambda key: moves.release(key, "c" * 64),
    "acknowledge": lambda key: moves.acknowledge(key, "d" * 64),
    "lose": lambda key: moves.lose(key, "no answer"),
    "refuse": lambda key: moves.refuse(key, "not finite"),
    "abort": lambda key: moves.abort(key, "not taken"),
}
steps = st.tuples(
    st.sampled_from(sorted(ACTS)),
    st.sampled_from(["cleveland", "zurich"]),
    st.integers(1, 3),
    st.integers(1, 2),
)


OUT_OF_ORDER = [
    ("reserve", "cleveland", number, attempt) for number, attempt in ((2, 1), (1, 1), (2, 2))
]


class Sequences(TestCase):
    @example(OUT_OF_ORDER)
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(steps, max_size=30))
    def test_any_sequence_leaves_a_true_ledger(self, sequence):
        for site in ("cleveland", "zurich"):
            b.lend(site)
            b.seal(site)
        for act, site, number, attempt in sequence:
            try:
                ACTS[act](b.key(site, number, attempt))
            except (IllegalTransition, BudgetExceeded):
                continue
        kinds = list(Entry.objects.values_list("kind", flat=True))
        assert kinds.count("charged") >= kinds.count("released") >= kinds.count("acknowledged")
        verdict = verify()
        assert verdict.ok, verdict.sentence()
        for site in ("cleveland", "zurich"):
            history = b.events_of("heart", site)
            loss = claims.of("heart").study("heart", site, Limit(0.9, 1e-3)).spent
            assert loss == epsilon(history, 1e-3)
            assert loss.epsilon <= 0.9
            curve = [figure.epsilon for _, figure in spending.burn_down("heart", site, 1e-3)]
            assert curve[-1:] == ([loss.epsilon] if history else [])
            assert curve == sorted(curve)


@pytest.mark.django_db
def test_warming_writes_nothing_and_remembers_the_figure():
    b.lend("cleveland")
    request = b.reservation(b.key())
    ledger.warm([request])
    assert not Entry.objects.filter(kind="reserved").exists()
    assert ledger.reserve_all([request])[0].kind == "reserved"
