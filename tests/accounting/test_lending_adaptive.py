"""What a house is told before it lends to a study whose noise is chosen on the way."""

import pytest
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.filters import best_order, fits_adaptively
from accounting.keys import Limit
from accounting.selectors import lending
from federation.protocol import plans
from federation.protocol.document import Protocol
from studies.models import Participation, Study
from tests.accounting import builders as b
from tests.accounting import world as w

BOUND = Limit(1.0, 1e-3)
DEAR, ORDER = 1e3, best_order(3.0, 1e-3)  # of a lifetime of 3


def step(noise: float) -> PrivacyEvent:
    return PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, 0.1, 4)


@settings(deadline=None)  # the first of its kind fills the accountant's tables
@given(
    st.lists(st.floats(0.7, 20), min_size=1, max_size=30),
    st.lists(st.floats(1, 10), max_size=3),
)
def test_no_choice_of_noises_comes_to_more_than_is_told(chosen, before):
    """Whatever the study's filter admits, the lifetime's filter says no more than the bound."""
    others, own = tuple(map(step, before)), []
    for noise in chosen:
        if fits_adaptively([*own, step(noise)], *vars(BOUND).values(), best_order(1.0, 1e-3)).fits:
            own.append(step(noise))
    told = lending.at_most(others, BOUND, 1e-3, ORDER)
    assert told.accountant == "rdp"
    found = fits_adaptively([*others, *own], DEAR, 1e-3, ORDER).figure
    assert found.epsilon <= told.epsilon * (1 + 1e-6)


def test_at_its_own_order_the_bound_is_the_budget():
    told = lending.at_most((), BOUND, 1e-3, best_order(1.0, 1e-3))
    assert told.epsilon == pytest.approx(1.0)


def test_at_a_higher_order_nothing_is_claimed():
    assert lending.at_most((), BOUND, 1e-3, best_order(0.3, 1e-3)) is None


def chosen(unit: str) -> Protocol:
    """An adaptive study of that unit, sealed as far as it is."""
    text = w.protocol("Chosen on the way").model_dump(mode="json", exclude_none=True)
    text["privacy"] = {
        "target_epsilon": 1.0,
        "target_delta": 1e-3,
        "adaptive": {"least_noise": 0.5, "most_noise": 90},
    }
    text["evaluation"] = {"every": 1, "holdout": 0.2, "noise_multiplier": 8.0}
    if unit == "row":
        text["data"] |= {"unit": "row", "patient_column": None, "max_rows_per_patient": None}
    return plans.seal(Protocol.model_validate(text))


@pytest.fixture
def panel(db, client, settings):
    """panel(unit): Cleveland's lending panel for an adaptive study, beside one that runs."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    world = w.build()
    w.play(world)
    client.force_login(world.admin)

    def fetch(unit: str = "patient"):
        protocol = chosen(unit)
        study = Study.objects.create(
            slug="chosen",
            name="Chosen on the way",
            lead=world.lead,
            status="submitted",
            document=protocol.canonical().decode(),
            protocol_digest=protocol.digest,
        )
        Participation.objects.create(study=study, institution=world.institution("cleveland"))
        return client.get(reverse("panel-lending", args=("chosen", "cleveland")))

    return fetch


def test_the_panel_tells_the_bound_and_what_is_left_under_it(panel):
    page = panel()
    (row,) = page.context["prospects"]
    assert row.after == lending.at_most(tuple([b.TRAIN] * 4), BOUND, 1e-3, ORDER)
    assert row.after.epsilon > row.committed.epsilon + 0.5
    assert float(row.shown_left_after) < float(row.shown_left_before)
    html = page.content.decode()
    assert "Left after, at least" in html
    assert (
        "ε ≤ 1 (δ = 0.001 · Rényi (RDP) accountant · per patient · this study, your site)" in html
    )
    assert f"after this study ε ≤ {row.after.shown()} · δ = 0.001 · Rényi (RDP)" in html


def test_a_small_lifetime_does_not_hold_the_whole_budget(panel):
    b.lend("cleveland", lineage="lungs", epsilon="0.3")
    page = panel()
    small = next(row for row in page.context["prospects"] if row.lineage == "lungs")
    assert small.after is None
    assert not small.fits
    assert "does not fit" in page.content.decode()


def test_another_unit_is_told_although_there_is_no_plan(panel):
    (row,) = panel("row").context["prospects"]
    assert "patient" in row.conflict
