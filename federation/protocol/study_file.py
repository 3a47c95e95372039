"""Study files: one TOML document that holds a protocol, its cohort and each site's own limits."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from federation.protocol.contract import ContractError, encode, read_csv
from federation.protocol.document import Protocol
from federation.protocol.study_errors import Source, StudyFileError
from federation.protocol.study_reading import StudyFile, decoded, slugify, source_of, study_of
from federation.protocol.study_sections import InstitutionEntry
from federation.protocol.study_writing import write

__all__ = [
    "Check",
    "DataCheck",
    "InstitutionEntry",
    "StudyFile",
    "StudyFileError",
    "example",
    "parse",
    "read",
    "slugify",
    "write",
]

NO_TEXT = (".npz", ".parquet", ".pq")  # files that are no text
# A rule of another package: its ValueError's text begins with the dotted key it is about, as in
# "model.parameters.hidden: at least one layer".
Check: TypeAlias = Callable[[Protocol], object]
# Holds one institution's file or folder of rows against the protocol; raises ContractError.
DataCheck: TypeAlias = Callable[[Path, Protocol], object]


def read(
    path: Path,
    *,
    target_epsilon: float | None = None,
    checks: Iterable[Check] = (),
    check_data: DataCheck | None = None,
) -> StudyFile:
    """Read a study file that is to be run here: every institution needs its data file.

    Relative paths in it are relative to the file. `target_epsilon` replaces the file's target ε
    or noise multiplier. `checks` are rules of other packages (see `Check`). With
    `check_data` every institution's data are read and held against the protocol, which only a
    person with the right to see all of them may ask for.

    Raises:
        StudyFileError: one message with file, line and key.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        advice = f"cannot be read ({error.strerror}); check the path"
        raise StudyFileError(str(path), None, "", advice) from None
    source = source_of(decoded(data, path.name), path.name)
    if target_epsilon is not None:
        source = _with_target(source, target_epsilon)
    study = study_of(source, path.resolve().parent, need_data=True)
    _apply(checks, study.protocol, source)
    _check_public(study, source)
    if check_data is not None:
        _check_rows(study, source, check_data)
    return study


def parse(
    text: str,
    *,
    base: Path | None = None,
    file: str = "study file",
    checks: Iterable[Check] = (),
) -> StudyFile:
    """The study in `text`; institutions may come without data files.

    With `base`, relative paths are resolved against it and the files must exist. Without it (text
    from a browser) no file of this machine is touched, and paths stay as written.

    Raises:
        StudyFileError: one message with line and key.
    """
    source = source_of(text, file)
    study = study_of(source, base, need_data=False)
    _apply(checks, study.protocol, source)
    return study


def example() -> str:
    """A commented study file that shows every key."""
    return Path(__file__).with_name("example.toml").read_text(encoding="utf-8")


def _apply(checks: Iterable[Check], protocol: Protocol, source: Source) -> None:
    for check in checks:
        try:
            check(protocol)
        except ValueError as error:
            raise source.told(str(error)) from error


def _check_public(study: StudyFile, source: Source) -> None:
    file, declared = study.public_file, study.protocol.data
    # Other kinds of file need more than text to be read: the hub does that when it takes them in.
    if file is None or file.suffix.lower() in NO_TEXT:
        return
    try:
        encode(read_csv(file, declared), declared, keyed_order=None)
    except ContractError as error:
        raise source.error(("evaluation", "public_file"), str(error)) from error


def _check_rows(study: StudyFile, source: Source, check_data: DataCheck) -> None:
    for place, entry in enumerate(study.institutions):
        try:
            if entry.data is not None:
                check_data(entry.data, study.protocol)
        except ContractError as error:
            raise source.error(("institution", place, "data"), str(error)) from error


def _with_target(source: Source, target_epsilon: float) -> Source:
    privacy = source.raw.get("privacy")
    if not isinstance(privacy, dict):
        return source
    replaced = {key: value for key, value in privacy.items() if key != "noise_multiplier"}
    replaced["target_epsilon"] = target_epsilon
    return Source(source.file, {**source.raw, "privacy": replaced}, source.lines, source.length)
