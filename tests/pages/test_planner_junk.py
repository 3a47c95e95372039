"""Whatever stands in the form while somebody types, the planner answers with a sentence."""

from django.http import QueryDict
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounting.dp.planning import Draft
from accounting.views.drafting import read
from tests.pages.filled import HOSPITALS, filled
from tests.studies.protocols import small_protocol

SOUND = filled(small_protocol(), **{"privacy-target_epsilon": "1", "privacy-noise_multiplier": ""})
NAMES = sorted(
    name for name in SOUND if name.split("-")[0] in ("training", "privacy", "rounds", "members")
)
NAMES += ["evaluation-every", "planner-shared", "planner-sites", "planner-study", "data-unit"]
JUNK = st.one_of(
    st.text(max_size=20),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(["", "-", "1e", "1e999", "-0", "nan", "٣", "1,", '"', "\x00", "on", "custom"]),
)


def posted(values: dict[str, str]) -> QueryDict:
    query = QueryDict(mutable=True)
    query.update(values)
    return query


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=6), st.sets(st.sampled_from(NAMES)))
@example({"members-TOTAL_FORMS": "999999"}, set())
@example({"privacy-shape": "\r0"}, set())
@example({"privacy-shape": "1" * 200_000}, set())
@example({}, set(NAMES))
def test_junk_is_answered(changed: dict[str, str], missing: set[str]) -> None:
    values = {name: text for name, text in (SOUND | changed).items() if name not in missing}
    asked = read(posted(values), HOSPITALS)
    assert (asked.draft is None) == bool(asked.faults)
    assert all(fault.strip() for fault in asked.faults)
    if asked.draft:
        assert 0 < asked.draft.sample_rate <= 1
        assert (asked.draft.target is None) != (asked.draft.noise is None)


def test_the_sound_form_is_a_draft() -> None:
    asked = read(posted(SOUND), HOSPITALS)
    assert asked.draft == Draft(
        rounds=small_protocol().rounds.count,
        steps=small_protocol().training.local_steps,
        sample_rate=small_protocol().training.sample_rate,
        delta=small_protocol().privacy.target_delta,
        target=1.0,
    )
    assert [slug for slug, _ in asked.members] == ["cleveland", "budapest"]


def test_a_removed_institution_and_one_named_twice_count_once() -> None:
    removed = posted(SOUND | {"members-1-DELETE": "on"})
    assert [slug for slug, _ in read(removed, HOSPITALS).members] == ["cleveland"]
    twice = posted(SOUND | {"members-1-institution": "cleveland"})
    assert [slug for slug, _ in read(twice, HOSPITALS).members] == ["cleveland"]


def test_an_institution_without_a_size_is_invited_all_the_same() -> None:
    asked = read(posted(SOUND | {"members-0-cohort_size": "abc"}), HOSPITALS)
    assert asked.members[0] == ("cleveland", None)
