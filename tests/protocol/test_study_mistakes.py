"""A mistake in a study file gets one message: the line, the key, and what to do."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol import plans
from federation.protocol.document import Protocol
from federation.protocol.study_file import Check, StudyFileError, example, parse, read

TEXT = example()
LINES = TEXT.splitlines()


def line(key: str) -> int:
    """Where the example gives `key` first, counted from 1."""
    return next(n for n, text in enumerate(LINES, start=1) if text.startswith(f"{key} ="))


# What stands in the example, what stands there instead, the text that the line in error holds,
# the key, and a part of the advice. The first line that holds the text is the line expected.
MISTAKES = [
    # unknown keys: the closest known one is suggested
    ("low = 18", "lwo = 18", "lwo = 18", "data.column[1].lwo (column 'age')", "mean 'low'?"),
    ("[training]", "[trainign]", "[trainign]", "trainign", "did you mean 'training'?"),
    ("[data.target]", "[data.tagret]", "[data.tagret]", "data.tagret", "did you mean 'target'?"),
    (
        "[[data.column]]",
        "[[data.columns]]",
        "[[data.columns]]",
        "data.columns",
        "did you mean 'column'?",
    ),
    ("name = ", "title = ", "title = ", "study.title", "use one of: name, purpose"),
    ("bins = 10", "width = 10", "width = 10", "evaluation.width", "public_file"),
    ("min_cohort", "mincohort", "mincohort", "institution[1].limits.mincohort", "'min_cohort'?"),
    ("low = 18", "categories = [1, 2]", "categories = [1, 2]", "data.column[1].cat", "unknown key"),
    # missing keys point at the table that lacks them
    ("low = 18", "", "[[data.column]]", "data.column[1].low", "missing; add it to [data.column]"),
    ("cohort_size = 300", "", "[[institution]]", "institution[1].cohort_size", "missing; add it"),
    ("target_delta", "# ", "[privacy]", "privacy.target_delta", "missing; add it to [privacy]"),
    ("classes = ", "# ", "[data.target]", "data.target.classes", "missing; add it to"),
    # wrong values and wrong kinds of values
    ("sample_rate = 0.5", "sample_rate = 1.5", "sample_rate", "training.sample_rate", "not 1.5"),
    ("sample_rate = 0.5", "sample_rate = '.5'", "sample_rate", "training.sample_rate", "a number"),
    ("sample_rate = 0.5", "sample_rate = nan", "sample_rate", "training.sample_rate", "not nan"),
    ("local_steps = 4", "local_steps = 4.5", "local_steps", "training.local_steps", "whole number"),
    ("local_steps = 4", "local_steps = 0", "local_steps", "training.local_steps", "equal to 1"),
    (
        "max_grad_norm = 0.5",
        "max_grad_norm = 1e-13",
        "max_grad",
        "training.max_grad",
        "equal to 0.0",
    ),
    ("every = 5", "every = true", "every = true", "evaluation.every", "a whole number, not True"),
    ("low = 18", "low = inf", "low = inf", "data.column[1].low (column 'age')", "finite number"),
    ('"clip"', '"drop"', '"drop"', "data.column[1].outside", "must be 'refuse' or 'clip'"),
    ('"uniform"', '"linear"', '"linear"', "privacy.schedule", "'harmonic' or a list"),
    ('"uniform"', "[1, -1]", "[1, -1]", "privacy.schedule[2]", "greater than 0, not -1"),
    ('"indicator" ', '"mean" ', '"mean"', "data.column[2].missing", "a number, not 'mean'"),
    (
        'kind = "category"',
        'kind = "cat"',
        '"cat"',
        "data.column[3].kind",
        "'number', 'category' or",
    ),
    ('"cleveland"', '"Cleveland!"', '"Cleveland!"', "institution[1].slug", "pattern"),
    ("min_cohort = 2", "min_cohort = 0", "min_cohort", "institution[1].limits.min_cohort", "not 0"),
    ("hidden = [32]", "hidden = 1979-05-27", "hidden", "model.parameters.hidden", "a number, text"),
    ("hidden = [32]", "hidden = [nan]", "hidden", "model.parameters.hidden[1]", "finite"),
    # keys that do not go together
    ("low = 18", "low = 180", "low = 180", "data.column[1].low", "low must be below high"),
    ("spread = 60", "", "centre = 220", "data.column[2].centre", "give centre and spread together"),
    (
        '"indicator" ',
        "-999 ",
        "-999",
        "data.column[2].missing",
        "-999 is not within low and high; name one that is, or 'indicator'",
    ),
    ("# noise_mult", "noise_mult", "target_epsilon", "privacy.target_epsilon", "give either"),
    ("target_epsilon =", "#", "[privacy]", "privacy", "give either target_epsilon or noise"),
    ('"uniform"', "[1, 1]", "[1, 1]", "privacy.schedule", "needs one number per round"),
    ("# quorum = 3", "quorum = 3", "quorum = 3", "rounds.quorum", "larger than the cohort"),
    (
        "# class_weights = [1.0, 10.0]",
        "class_weights = [1.0]",
        "class_w",
        "training.class_w",
        "per",
    ),
    ("max_rows_per_patient", "# ", "unit = ", "data.unit", "needs max_rows_per_patient"),
    ("patient_column", "# ", "unit = ", "data.unit", "patient_column goes with"),
    ("holdout = 0.2", "holdout = 0.0", "holdout", "evaluation.holdout", "a holdout above 0"),
    (
        '["healthy", "ill"]',
        '["healthy"]',
        "names = ",
        "data.target.names",
        "one name per target",
    ),
    (
        "[[0], [1, 2, 3, 4]]",
        "[[0], [0]]",
        "[[0], [0]]",
        "data.target.classes",
        "stands in two classes",
    ),
    ("[1, 2, 3, 4]   ", "[1, 1.0]", "[1, 1.0]", "data.column[3].categories", "named twice"),
    # names that must be unique
    ('"chol"', '"age"', None, "data.column[2].name (column 'age')", "stands twice"),
    ('column = "num"', 'column = "cp"', 'name = "cp"', "data.column[3].name", "is also the target"),
    ('slug = "budapest"', 'slug = "cleveland"', None, "institution[2].slug", "stands twice"),
    # shapes
    ("[rounds]", "[[rounds]]", "[[rounds]]", "rounds", "must be a table; write [rounds]"),
    # what is not TOML at all
    ("[privacy]", "[privacy]]", "[privacy]]", "", "not valid TOML"),
    ("[privacy]", "[training]", None, "", "not valid TOML: Cannot declare"),
    ("every = 5", "every = 5\nevery = 6", None, "", "not valid TOML: Cannot overwrite"),
    ("every = 5", "every =", "every =", "", "not valid TOML: Invalid value"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m[3]} {m[4]}")
def test_each_mistake_is_pointed_at(mistake: tuple[str, str, str | None, str, str]) -> None:
    old, new, holds, key, advice = mistake
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    with pytest.raises(StudyFileError) as caught:
        parse(text, file="study.toml")
    error = caught.value
    assert error.key.startswith(key)
    assert advice in error.advice
    assert error.line is not None
    assert str(error).startswith(f"study.toml, line {error.line}: ")
    assert "\n" not in str(error)
    if holds is not None:
        lines = text.splitlines()
        assert error.line == 1 + next(i for i, line in enumerate(lines) if holds in line)


def test_twins_are_pointed_at_where_they_stand_the_second_time() -> None:
    for old, new in (('name = "chol"', 'name = "age"'), ('"budapest"', '"cleveland"')):
        text = TEXT.replace(old, new)
        with pytest.raises(StudyFileError) as caught:
            parse(text)
        assert new in text.splitlines()[(caught.value.line or 0) - 1]
        assert old in TEXT.splitlines()[(caught.value.line or 0) - 1]


def test_an_unknown_key_comes_before_what_it_left_missing() -> None:
    with pytest.raises(StudyFileError, match="unknown key; did you mean 'low'"):
        parse(TEXT.replace("low = 18", "Low = 18"))


def test_the_first_mistake_in_the_file_is_told_and_only_that() -> None:
    text = TEXT.replace("bins = 10", "bins = 1").replace("count = 10", "count = 0")
    with pytest.raises(StudyFileError) as caught:
        parse(text)
    assert caught.value.key == "rounds.count"
    assert "bins" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "study file, line 1: study.name: missing; add it to [study]"),
        ("[study]\nname = 'x'\n", "line 2: data.column: missing; write a [[data.column]]"),
        ("data = 3", "line 1: data: must be a table; write [data]"),
        ("institution = 3\n[study]\nname = 'x'", "line 1: institution: must be a table"),
        ("institution = [3]\n[study]\nname = 'x'", "line 1: institution[1]: must be a"),
        ("[data]\ncolumn = 3", "line 2: data.column: must be tables; write [[data.column]]"),
        (
            "[study]\nname = 'x'\n[data]\ncolumn = [3]\ntarget = {}",
            "line 4: data.column[1]: must be",
        ),
        ("[study]\nname = 'x'\n[data]\ntarget = 3", "line 3: data.column: missing"),
        ("[study]\nname = '''x\ny'''\nnam = 1", "line 4: study.nam: unknown key"),
        ("x = [1,\n2", "line 2: not valid TOML: Unclosed array"),
        ("x = '\n", "line 1: not valid TOML"),
        ("a." * 3000 + "b = 1", "line 1: "),
        ("x = " + "[" * 3000, "line 1: not valid TOML"),
    ],
    ids=range(13),
)
def test_odd_files_get_a_message_too(text: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=re.escape(message)):
        parse(text)


def test_a_name_without_letters_needs_a_slug() -> None:
    text = TEXT.replace('slug = "budapest"\n', "").replace("Hungarian", "東京")
    assert parse(text).institutions[1].slug == "institute-of-cardiology-budapest"
    with pytest.raises(StudyFileError, match="add a slug of a-z, 0-9 and -"):
        parse(re.sub(r'name = "東京.*"', 'name = "東京"', text))


def _no_such_layer(protocol: Protocol) -> None:
    raise ValueError("model.parameters.hidden.0: too wide; model.parameters.depth: no such thing")


def _no_such_model(protocol: Protocol) -> None:
    raise ValueError("model.architecture: no architecture is called 'mlp'; choose one of: a, b")


def _no_key(protocol: Protocol) -> None:
    raise ValueError("it cannot be")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (_no_such_layer, f"line {line('hidden')}: model.parameters.hidden[1]: too wide"),
        (
            _no_such_model,
            f"line {line('architecture')}: model.architecture: no architecture is called 'mlp'; ch",
        ),
        (_no_key, "study file: it cannot be"),
    ],
)
def test_rules_of_other_packages_are_told_with_their_line(check: Check, message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        parse(TEXT, checks=(lambda protocol: None, check))
    assert message in str(caught.value)
    assert "depth" not in str(caught.value)


def test_a_target_out_of_reach_is_told_with_its_line(tmp_path: Path) -> None:
    path = _study(tmp_path, TEXT.replace("noise_multiplier = 5.0", "noise_multiplier = 0.5"))
    said = rf"line {line('target_epsilon')}: privacy\.target_epsilon: the events that"
    with pytest.raises(StudyFileError, match=said):
        read(path, checks=(plans.seal,))


def _study(tmp_path: Path, text: str) -> Path:
    for name in ("cleveland.csv", "budapest.csv", "public_test.csv"):
        (tmp_path / name).write_text("age\n")
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def test_an_absent_data_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = _study(tmp_path, TEXT)
    (tmp_path / "budapest.csv").unlink()
    with pytest.raises(StudyFileError) as caught:
        read(path)
    assert LINES[(caught.value.line or 0) - 1] == 'data = "budapest.csv"'
    assert f"there is no file {tmp_path / 'budapest.csv'}" in caught.value.advice
    assert str(caught.value).startswith("study.toml, line ")


def test_a_study_to_be_run_names_every_data_file(tmp_path: Path) -> None:
    path = _study(tmp_path, TEXT.replace('data = "budapest.csv"\n', ""))
    with pytest.raises(StudyFileError, match=r"institution\[2\].data .*: missing; name the inst"):
        read(path)


def test_a_study_to_be_run_has_a_site(tmp_path: Path) -> None:
    path = _study(tmp_path, TEXT[: TEXT.index("[[institution]]")])
    with pytest.raises(StudyFileError, match=r"institution: missing; write an \[\[institution\]\]"):
        read(path)


def test_the_public_file_must_exist_and_be_the_one_declared(tmp_path: Path) -> None:
    text = TEXT.replace("# public_file", "public_file")
    path = _study(tmp_path, text.replace("public_test", "absent"))
    with pytest.raises(StudyFileError, match=r"evaluation\.public_file: there is no file"):
        read(path)
    digest = f'public_digest = "{"0" * 64}"\n'
    path = _study(tmp_path, text.replace("bins = 10", f"{digest}bins = 10"))
    with pytest.raises(StudyFileError, match=r"public_digest: is not the SHA-256 of public_file"):
        read(path)
    path = _study(tmp_path, text.replace('"public_test.csv"', "3"))
    with pytest.raises(
        StudyFileError, match=r"public_file: must be the path of a CSV, Parquet or npz file"
    ):
        read(path)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"absent\.toml: cannot be read"):
        read(tmp_path / "absent.toml")
    path = tmp_path / "study.toml"
    path.write_bytes(b"[study]\nname = '\xe9'\n")
    with pytest.raises(StudyFileError, match=r"study\.toml, line 2: not UTF-8 text"):
        read(path)
    path.write_bytes(b"#" * (5 * 2**20))
    with pytest.raises(StudyFileError, match="larger than 4 MiB"):
        read(path)


def _told(text: str) -> StudyFileError | None:
    """The error about `text`, None when it is taken; any other exception passes."""
    try:
        parse(text)
    except StudyFileError as error:
        return error
    return None


ANY = st.sampled_from(
    ["3", "-1", "true", '"x"', "[]", "[1]", "{}", "{a = 1}", "nan", "1979-05-27", '[""]', "[[1]]"]
)
ASSIGNED = [i for i, line in enumerate(LINES) if re.match(r"[a-z_]+ = ", line)]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ASSIGNED), ANY)
def test_any_wrong_value_is_a_study_file_error_on_its_line(place: int, value: str) -> None:
    """Whatever stands there: it is taken, or refused in words; nothing else is raised."""
    lines = list(LINES)
    lines[place] = f"{LINES[place].split(' = ')[0]} = {value}"
    told = _told("\n".join(lines))
    assert told is None or (told.line and told.key and told.advice)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1))
def test_any_part_cut_out_is_taken_or_refused_in_words(start: int, end: int) -> None:
    told = _told("\n".join(LINES[:start] + LINES[max(start, end) :]))
    assert told is None or told.line is not None
