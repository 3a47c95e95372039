"""The site's own filter keeps its order from the first loss on; its limits cover histograms."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import IntegrityError

import pytest

from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.filters import best_order, fits_adaptively
from federation.site.assembly import Site
from federation.site.config import Dataset, Limits
from federation.site.folder import Folder
from federation.site.limits import Request, check_limits
from federation.site.orders import Orders
from federation.site.refused import Refused
from tests.site.conftest import CONFIG, model, study
from tests.site.hub import Hub
from tests.site.playing import play_one

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WIDE = Limits(max_epsilon_per_study=100.0)
TRAIN = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 8.0, 0.5, 4)
HISTOGRAM = PrivacyEvent(Mechanism.GAUSSIAN, 2.0, 1.0, 1)
CHOSEN = {
    "target_epsilon": 3.0,
    "target_delta": 1e-5,
    "adaptive": {"least_noise": 6.0, "most_noise": 60.0},
}


def asked(event: PrivacyEvent, lifetime: float = 20.0, **changes: object) -> Request:
    """`event` of an adaptive study whose histograms have noise 2."""
    dataset = Dataset(name="heart", file=Path("x"), lifetime_epsilon=lifetime, lifetime_delta=1e-5)
    fields: dict[str, object] = {
        "protocol": study(
            privacy=CHOSEN, evaluation={"every": 1, "holdout": 0.25, "noise_multiplier": 2.0}
        ),
        "plan": (),
        "protocol_digest": "0" * 64,
        "dataset": dataset,
        "event": event,
        "of_study": (),
        "of_lineage": (),
    }
    return Request(**fields | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("event", [TRAIN, HISTOGRAM])
def test_the_limit_of_noise_covers_the_histograms_of_an_adaptive_study(event: PrivacyEvent) -> None:
    check_limits(Limits(min_noise_multiplier=2.0), asked(event))
    with pytest.raises(Refused, match=r"noise_multiplier 2\.0"):
        check_limits(Limits(min_noise_multiplier=5.0), asked(event))


def test_beside_quieter_histograms_the_least_choice_counts() -> None:
    measured = {"every": 1, "holdout": 0.25, "noise_multiplier": 30.0}
    protocol = study(privacy=CHOSEN, evaluation=measured)
    check_limits(Limits(min_noise_multiplier=6.0), asked(TRAIN, protocol=protocol))
    with pytest.raises(Refused, match=r"noise_multiplier 6\.0"):
        check_limits(Limits(min_noise_multiplier=7.0), asked(TRAIN, protocol=protocol))


def most(lifetime: float, order: float) -> int:
    """How many more equal events the filter at that order admits."""
    count = 1
    while fits_adaptively([TRAIN] * (count + 1), lifetime, 1e-5, order).fits:
        count += 1
    return count


def test_a_raised_lifetime_is_judged_at_the_order_of_the_first_loss() -> None:
    """At the best order of 9 more would fit: but that order would be chosen after results."""
    before, after = best_order(2.0, 1e-5), best_order(9.0, 1e-5)
    count = most(9.0, before)
    assert after < before
    assert count < most(9.0, after)
    history = {"of_lineage": (TRAIN,) * count}
    check_limits(WIDE, asked(TRAIN, 9.0, **history))
    with pytest.raises(Refused, match="lifetime budget"):
        check_limits(WIDE, asked(TRAIN, 9.0, fixed_order=before, **history))


def test_before_the_first_loss_the_order_follows_the_lifetime() -> None:
    for lifetime in (2.0, 9.0):
        assert asked(TRAIN, lifetime).lifetime_order == best_order(lifetime, 1e-5)
    assert asked(TRAIN, 9.0, fixed_order=7.5).lifetime_order == 7.5


def test_the_first_loss_fixes_the_order_for_good(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    protocol = study()
    hub.approve(protocol)
    first = assembled(folder)
    assert first.parts.orders.of("heart-patients") is None
    assert play_one(first, hub, hub.assign(protocol, model()))
    order = best_order(20.0, 1e-5)
    assert first.parts.orders.of("heart-patients") == order
    for lifetime in ("90.0", "15.0"):
        text = CONFIG.replace("lifetime_epsilon = 20.0", f"lifetime_epsilon = {lifetime}")
        assert best_order(float(lifetime), 1e-5) != order
        folder.config.write_text(text)
        again = assembled(folder)
        assert play_one(again, hub, hub.assign(protocol, model(), attempt=int(float(lifetime))))
        assert again.parts.orders.of("heart-patients") == order


def test_an_order_is_fixed_once_and_never_changed(tmp_path: Path) -> None:
    orders = Orders(tmp_path / "journal.sqlite3")
    assert orders.fix("heart", 7.5, NOW) == 7.5
    assert orders.fix("heart", 4.6, NOW) == 7.5
    assert orders.fix("lungs", 4.6, NOW) == 4.6
    for change in ("UPDATE filter_orders SET filter_order = '2'", "DELETE FROM filter_orders"):
        with pytest.raises(IntegrityError, match="is fixed"):
            orders._rows.execute(change)
    orders.close()
    assert Orders(tmp_path / "journal.sqlite3").of("heart") == 7.5
