"""The stand-alone verifier follows an audit: bound first, revealed as bound, shown as guessed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.audit import lower_bound, p_value
from accounting.services.checkpoints import issue
from accounting.services.hub_key import hub_key
from accounting.verifier.parts.audits import p_value as chance
from accounting.verifier.parts.audits import proved_bound
from tests.accounting import test_auditing as audits
from tests.verifier import bundles

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(transactional_db):
    """A complete bundle of a ledger with one audit."""
    audits.b.lend("cleveland")
    audits.b.seal()
    audits.bind()
    audits.b.whole_round(audits.b.key(number=1))
    audits.reveal()
    issue()
    return bundles.whole()


def test_an_audited_ledger_holds(auditor, document):
    code, text = auditor.run(document, "--key", hub_key().public)
    assert code == 0, text
    assert "The bundle holds." in text


@pytest.mark.parametrize("name", audits.FORGERIES)
def test_a_forged_reveal_is_found(auditor, document, name):
    bodies = [json.loads(row["body"]) for row in document["entries"]]
    audits.FORGERIES[name](bodies[-1])
    found = auditor.wrong(bundles.forged(document, bodies))
    assert len(bodies) in {entry for entry, _ in found.values()}


def test_a_commitment_behind_training_is_found(auditor, document):
    bodies = [json.loads(row["body"]) for row in document["entries"]]
    place = next(n for n, body in enumerate(bodies) if body["kind"] == "committed")
    bodies.insert(place + 1, bodies.pop(place))
    found = auditor.wrong(bundles.forged(document, bodies))
    assert place + 2 in {entry for entry, _ in found.values()}


@settings(max_examples=30, deadline=None)
@given(
    st.integers(6, 120).flatmap(
        lambda m: st.integers(1, m).flatmap(
            lambda r: st.tuples(st.just(m), st.just(r), st.integers(0, r))
        )
    ),
    st.floats(0, 8),
    st.sampled_from([0.0, 1e-10, 1e-5, 1e-3]),
)
def test_both_implementations_of_the_theorem_agree(counts, epsilon, delta):
    assert chance(*counts, epsilon, delta) == pytest.approx(
        p_value(*counts, epsilon, delta), rel=1e-8, abs=1e-12
    )
    assert proved_bound(*counts, delta, 0.05) == pytest.approx(
        lower_bound(*counts, delta, 0.95), abs=1e-6
    )
