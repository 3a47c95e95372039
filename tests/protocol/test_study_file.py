"""Study files: short ones suffice, the example shows every key, and what is written reads back."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol import document
from federation.protocol.contract import encode, read_csv
from federation.protocol.document import Protocol
from federation.protocol.study_file import (
    InstitutionEntry,
    StudyFileError,
    example,
    parse,
    read,
    slugify,
    write,
)
from federation.protocol.study_sections import InstitutionSection, Limits, StudySection
from tests.protocol import samples

SHORT = """
[study]
name = "Short"

[[data.column]]
name = "age"
low = 0
high = 120

[data.target]
column = "ill"
classes = [0, 1]

[privacy]
target_epsilon = 1
target_delta = 1e-5

[[institution]]
name = "Ospedale Maggiore Niguarda"
cohort_size = 400
"""


def test_a_short_file_suffices() -> None:
    study = parse(SHORT)
    protocol = study.protocol
    assert protocol.model.architecture == "logistic"
    assert protocol.rounds.count == 10
    assert protocol.aggregation.strategy == "fedavg"
    assert protocol.data.unit == "row"
    assert protocol.data.target.classes == [["0"], ["1"]]
    assert protocol.quorum == 1
    (entry,) = study.institutions
    assert entry == InstitutionEntry("ospedale-maggiore-niguarda", entry.name, 400)
    assert protocol.member(entry.slug).cohort_size == 400


def test_whole_numbers_do_for_fractions() -> None:
    assert parse(SHORT) == parse(SHORT.replace("= 1\n", "= 1.0\n").replace("low = 0", "low = 0.0"))


def test_line_ends_and_byte_order_marks_do_not_matter() -> None:
    assert parse("\ufeff" + SHORT.replace("\n", "\r\n")) == parse(SHORT)


def test_the_example_shows_every_key() -> None:
    sections = (
        *(document.DataContract, document.NumberColumn, document.CategoryColumn, document.Target),
        *(document.Model, document.Training, document.Privacy, document.Aggregation),
        *(document.Rounds, document.Evaluation, document.Audit, StudySection),
        *(InstitutionSection, Limits),
    )
    keys = {key for section in sections for key in section.model_fields} | {"public_file"}
    keys -= {"columns", "target", "parameters", "limits"}  # these are tables
    shown = set(re.findall(r"(?m)^(?:# )?([a-z_]+) = ", example()))
    assert shown - {"hidden"} == keys


def test_optional_keys_of_the_example_may_be_taken() -> None:
    """Each commented key is right as it stands, but for its file, digest and what excludes it."""
    left_out = (
        "public_file",
        "public_digest",
        "approved_protocols",
        "noise_multiplier",
        "quorum",
        "windows",
        "classes",
        "personal_layers",
    )
    text = re.sub(rf"(?m)^# (?!{'|'.join(left_out)})(?=[a-z_]+ = )", "", example())
    assert parse(text).protocol.training.class_weights == [1.0, 10.0]


def test_the_windows_of_the_example_may_be_taken_instead_of_an_audit() -> None:
    found = parse(example().replace("# windows = ", "windows = ")).protocol.data.windows
    assert found is not None
    assert (found.length, found.order) == (24, ["day"])


ROWS = "patient,age,chol,cp,num\np1,50,200,1,0\n"


def _folder(tmp_path: Path, text: str) -> Path:
    for name in ("cleveland.csv", "budapest.csv", "public_test.csv"):
        (tmp_path / name).write_text(ROWS)
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _folder(tmp_path, example().replace("# public_file", "public_file"))
    monkeypatch.chdir(tmp_path.parent)
    study = read(Path(tmp_path.name) / path.name)
    assert study.institutions[0].data == tmp_path / "cleveland.csv"
    assert study.public_file == tmp_path / "public_test.csv"
    found = hashlib.sha256(ROWS.encode()).hexdigest()
    assert study.protocol.evaluation.public_digest == found


def _held(file: Path, protocol: Protocol) -> None:
    encode(read_csv(file, protocol.data), protocol.data, keyed_order=None)


def test_rows_are_held_against_the_contract_when_asked(tmp_path: Path) -> None:
    path = _folder(tmp_path, example())
    read(path, check_data=_held)
    (tmp_path / "budapest.csv").write_text(ROWS.replace("200", "2000"))
    read(path)
    with pytest.raises(StudyFileError, match=r"institution\[2\]\.data .*'chol': out of bounds"):
        read(path, check_data=_held)


def test_public_rows_are_always_held_against_the_contract(tmp_path: Path) -> None:
    path = _folder(tmp_path, example().replace("# public_file", "public_file"))
    (tmp_path / "public_test.csv").write_text("age\n1\n")
    with pytest.raises(StudyFileError, match=r"public_file: column 'chol': missing column"):
        read(path)


def test_another_target_may_be_asked_for(tmp_path: Path) -> None:
    path = _folder(tmp_path, example())
    assert read(path, target_epsilon=0.1).protocol.privacy.target_epsilon == 0.1
    noisy = example().replace("target_epsilon = 1.0", "noise_multiplier = 1.0")
    privacy = read(_folder(tmp_path, noisy), target_epsilon=2).protocol.privacy
    assert (privacy.target_epsilon, privacy.noise_multiplier) == (2.0, None)
    with pytest.raises(StudyFileError, match=r"privacy\.target_epsilon: must be greater than 0"):
        read(path, target_epsilon=0)


def test_text_from_a_browser_touches_no_file_of_the_hub() -> None:
    (entry, _) = parse(example()).institutions
    assert entry.data == Path("cleveland.csv")
    found = parse(example().replace("# public_file", "public_file"))
    assert found.public_file is None
    assert found.public_name.endswith(".csv")


def test_limits_hold_what_the_file_states() -> None:
    first, second = parse(example()).institutions
    assert first.limits["lifetime_delta"] == 1e-3
    assert "approved_protocols" not in first.limits
    assert second.limits == {}


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Hôpital Cantonal, Genève", "hopital-cantonal-geneve"),
        ("  V.A. Long Beach!", "v-a-long-beach"),
        ("東京", ""),
        ("x" * 100, "x" * 63),
    ],
)
def test_slugs_are_made_of_names(name: str, slug: str) -> None:
    assert slugify(name) == slug


@given(st.text(max_size=80))
def test_a_slug_is_a_slug_or_nothing(name: str) -> None:
    assert re.fullmatch(r"([a-z0-9][a-z0-9-]{0,62})?", slugify(name))


def test_what_is_written_reads_back() -> None:
    study = parse(example())
    again = parse(write(study.protocol, study.institutions))
    assert again == study
    assert write(again.protocol, again.institutions) == write(study.protocol, study.institutions)


def test_a_protocol_alone_can_be_written() -> None:
    protocol = samples.protocol()
    assert parse(write(protocol)).protocol == protocol
    assert "data = " not in write(protocol)


NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
FLOATS = st.floats(1e-6, 1e6)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | FLOATS | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def _protocols(draw: st.DrawFn) -> Protocol:
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    base: dict[str, Any] = samples.protocol().model_dump(mode="json")
    columns = [
        draw(
            st.fixed_dictionaries(
                {"name": st.just(name), "low": st.just(-1.5), "high": FLOATS},
                optional={
                    "unit": st.text(max_size=4),
                    "missing": st.floats(-1.5, 1e-6) | st.just("drop"),
                },
            )
        )
        for name in names[1:]
    ]
    target = {"column": names[0], "classes": [[draw(NAMES)], ["\0 never drawn"]]}
    base["data"] |= {"columns": columns, "target": target, "missing_values": draw(st.lists(NAMES))}
    base["model"]["parameters"] = draw(st.dictionaries(NAMES, VALUES, max_size=3))
    base["privacy"]["schedule"] = draw(
        st.just("harmonic") | st.lists(FLOATS, min_size=10, max_size=10)
    )
    base["evaluation"]["public_digest"] = draw(st.none() | st.just(samples.DIGEST))
    base |= {"name": draw(NAMES), "purpose": draw(st.text(max_size=30))}
    return Protocol.model_validate(base)


@settings(max_examples=60)
@given(_protocols())
def test_any_protocol_is_written_and_read_back(protocol: Protocol) -> None:
    back = parse(write(protocol)).protocol
    assert back == protocol
    assert back.digest == protocol.digest
