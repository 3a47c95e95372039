"""Hostile, cut or newer files get a sentence and a status, never a traceback or a guess."""

import copy
import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.verifier import bundles

pytestmark = pytest.mark.django_db

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def refused(auditor, text: str) -> str:
    code, answer = auditor.run(text)
    assert code == 2, answer
    assert "✗ refused: " in answer
    return answer


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty: download it again"),
        ("{", "not JSON, or was cut short"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "this is no bundle"),
        ("{}", "this is no bundle"),
        ('{"a": 1, "a": 2}', "same key twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "too many digits"),
        ('{"schema": "cloister-bundle/2"}', "update the verifier"),
        ('{"schema": "cloister-bundle/1"}', "'hub_key' is missing"),
        ('{"schema": "cloister-bundle/1", "news": 1}', "part 'news' of a bundle is not known"),
    ],
)
def test_what_is_no_bundle_is_refused(auditor, text, why):
    assert why in refused(auditor, text)


def test_a_missing_file_is_said(auditor, tmp_path, capsys):
    assert bundles.main([str(tmp_path / "absent.json")]) == 2
    assert "absent.json cannot be read" in capsys.readouterr().out


def test_a_bundle_cut_anywhere_is_refused(auditor, honest):
    text = json.dumps(honest)
    for end in range(0, len(text), len(text) // 12):
        refused(auditor, text[:end])


def test_bytes_that_are_no_text_are_refused(auditor, tmp_path, capsys):
    file = tmp_path / "bundle.json"
    file.write_bytes(b"\xff\xfe")
    assert bundles.main([str(file)]) == 2
    assert "is not UTF-8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"kind": "forgotten"}, "the kind 'forgotten'"),
        ({"version": 2}, "version 2"),
    ],
)
def test_a_newer_kind_of_entry_is_not_guessed_at(auditor, honest, facts, what):
    document = bundles.changed(honest, 7, **facts)
    assert f"{what} of entry 7 is not known here; update the verifier" in refused(
        auditor, json.dumps(document)
    )


@pytest.mark.parametrize(
    ("part", "value", "what"),
    [
        ("mechanism", "laplace", "the mechanism 'laplace'"),
        ("sampler", "shuffled", "the sampler 'shuffled'"),
        ("neighbouring", "replace", "the neighbouring 'replace'"),
        ("noise_grade", "none", "the noise_grade 'none'"),
        ("lucky", 7, "the part 'lucky' of a privacy event"),
    ],
)
def test_a_newer_mechanism_is_not_guessed_at(auditor, honest, part, value, what):
    number = bundles.number_of(honest, "reserved")
    event = bundles.body(honest, number)["event"] | {part: value}
    document = bundles.changed(honest, number, event=event)
    assert f"{what} is not known here" in refused(auditor, json.dumps(document))


def test_a_newer_accountant_is_not_guessed_at(auditor, honest):
    number = bundles.number_of(honest, "sealed")
    figure = bundles.body(honest, number)["figure"] | {"accountant": "gdp"}
    document = bundles.changed(honest, number, figure=figure)
    assert "the accountant 'gdp' is not known" in refused(auditor, json.dumps(document))


def test_what_it_cannot_bound_is_undecided_not_right(auditor, honest):
    number = bundles.number_of(honest, "reserved")
    event = bundles.body(honest, number)["event"] | {"noise_multiplier": "0.00001"}
    code, text = auditor.run(bundles.changed(honest, number, event=event))
    assert code in (1, 2)
    assert "? every ε" in text


def test_control_characters_do_not_reach_the_terminal(auditor, honest):
    honest["witnesses"] = [{"institution": "\x1b[2Jevil"}]
    code, text = auditor.run(honest)
    assert code == 1
    assert "\x1b" not in text


def _places(value, path=()):
    """Every path into a document."""
    yield path
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*path, name))


def _put(document, path, value):
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_junk_anywhere_is_found_and_never_a_traceback(auditor, honest, data):
    document = copy.deepcopy(honest)
    document["entries"] = document["entries"][:8]
    paths = [path for path in _places(document) if path and path[0] not in ("scope", "report")]
    path = data.draw(st.sampled_from(paths))
    _put(document, path, data.draw(JUNK))
    code, text = auditor.run(document)
    assert code in (1, 2), (path, text)


@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_junk_in_a_signed_body_is_never_a_traceback(auditor, honest, data):
    number = data.draw(st.integers(1, 8))
    body = bundles.body(honest, number)
    paths = [path for path in _places(body) if path and path != ("sequence",)]
    _put(body, data.draw(st.sampled_from(paths)), data.draw(JUNK.filter(_canonical)))
    code, _ = auditor.run(bundles.changed(honest, number, **body))
    assert code in (0, 1, 2)


def _canonical(value) -> bool:
    try:
        bundles.canonical_json(value)
    except ValueError:
        return False
    return True
