"""From the text of a study file to its protocol and institutions, checked key by key."""

import hashlib
import math
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from federation.protocol.document import EXACT, Protocol, Section
from federation.protocol.study_errors import Source, StudyFileError, at
from federation.protocol.study_sections import (
    DEFAULTS,
    SECTIONS,
    InstitutionEntry,
    InstitutionSection,
    StudySection,
)
from federation.protocol.toml_lines import KeyPath, key_lines

LARGEST_FILE = 4 * 2**20
LONGEST_SLUG = 63
_LINE = re.compile(r"\(at (?:line (\d+), column \d+|end of document)\)")
_Checked = TypeVar("_Checked", bound=Section)


@dataclass(frozen=True)
class StudyFile:
    """What a study file says. `public_file` is the hub's evaluation file, where there is one.

    Without a folder to look in (a browser's import) only its name is known: `public_name`.
    """

    protocol: Protocol
    institutions: tuple[InstitutionEntry, ...]
    public_file: Path | None = None
    public_name: str | None = None


def slugify(name: str) -> str:
    """An identifier made of a name: lower-case ASCII letters, digits and dashes; may be empty."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:LONGEST_SLUG].strip("-")


def decoded(data: bytes, file: str) -> str:
    """The text of a file. Raises StudyFileError when it is too large or not UTF-8."""
    if len(data) > LARGEST_FILE:
        raise StudyFileError(file, None, "", "larger than 4 MiB; this is no study file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise StudyFileError(file, line, "", "not UTF-8 text; save it as UTF-8") from None


def source_of(text: str, file: str) -> Source:
    """The tables of the text and their lines. Raises StudyFileError when it is not TOML."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    length = text.rstrip().count("\n") + 1
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # not TOML, nested too deep, or endless digits
        found = _LINE.search(str(error))
        line = int(found[1]) if found and found[1] else length
        problem = _LINE.sub("", str(error)).strip()
        raise StudyFileError(file, line, "", f"not valid TOML: {problem}") from None
    return Source(file, raw, key_lines(text), length)


def study_of(source: Source, base: Path | None, *, need_data: bool) -> StudyFile:
    """Check everything and put it together. Raises StudyFileError."""
    _check_shape(source)
    study = _checked(StudySection, source, ("study",))
    sections = [
        _checked(InstitutionSection, source, ("institution", place))
        for place in range(len(source.raw.get("institution", ())))
    ]
    if need_data and not sections:
        advice = "missing; write an [[institution]] table for each site"
        raise source.error(("institution",), advice)
    slugs = _slugs(source, sections)
    public_file = _public_file(source, base)
    protocol = _protocol(source, study, _cohort(slugs, sections), public_file)
    entries = tuple(
        InstitutionEntry(
            slug=slug,
            name=section.name,
            cohort_size=section.cohort_size,
            data=_data_file(source, ("institution", place, "data"), base, need_data),
            dataset=section.dataset,
            machine=section.machine,
            limits=section.limits.model_dump(exclude_unset=True),
        )
        for place, (slug, section) in enumerate(zip(slugs, sections, strict=True))
    )
    named = source.raw.get("evaluation", {}).get("public_file")
    return StudyFile(protocol, entries, public_file, named)


def _check_shape(source: Source) -> None:
    """Every section is a table (or tables), and every key has a meaning where it stands."""
    source.check_keys(())
    for name in SECTIONS:
        value = source.raw.get(name, [] if name == "institution" else {})
        expected = list if name == "institution" else dict
        if not isinstance(value, expected):
            raise source.error((name,), f"must be a table; write {_header(name)} on its own line")
    if not isinstance(source.raw.get("data", {}).get("column", []), list):
        raise source.error(("data", "column"), "must be tables; write [[data.column]] for each")
    _check_columns(source)
    kind = at(source.raw, ("data", "target", "kind"))
    if kind not in (None, "class", "number"):
        raise source.error(("data", "target", "kind"), f"must be 'class' or 'number', not {kind!r}")
    for path in _tables(source.raw):
        source.check_keys(path)


def _check_columns(source: Source) -> None:
    target = at(source.raw, ("data", "target", "column"))
    forecast = bool(at(source.raw, ("data", "windows", "horizon")))
    seen: set[Any] = set()
    for place in range(len(at(source.raw, ("data", "column")) or ())):
        kind = at(source.raw, ("data", "column", place, "kind"))
        if kind not in (None, "number", "category", "array"):
            advice = f"must be 'number', 'category' or 'array', not {kind!r}"
            raise source.error(("data", "column", place, "kind"), advice)
        path = ("data", "column", place, "name")
        name = at(source.raw, path)
        if name is not None and name == target and not forecast:
            raise source.error(path, "is also the target; a study cannot learn from its answer")
        if isinstance(name, str) and name in seen:
            raise source.error(path, "stands twice; declare each column once")
        seen.add(str(name))


def _header(name: str) -> str:
    return f"[[{name}]]" if name == "institution" else f"[{name}]"


def _tables(raw: Any) -> Iterable[KeyPath]:
    for name in SECTIONS:
        if name != "institution":
            yield (name,)
    columns = raw.get("data", {}).get("column", [])
    yield from (("data", "column", i) for i in range(len(columns)))
    yield ("data", "target")
    for place in range(len(raw.get("institution", []))):
        yield ("institution", place)
        yield ("institution", place, "limits")


def _checked(model: type[_Checked], source: Source, path: KeyPath) -> _Checked:
    table: Any = source.raw
    for part in path:
        table = table.get(part, {}) if isinstance(table, dict) else table[part]
    try:
        return model.model_validate(table, strict=True)
    except ValidationError as error:
        raise source.refusal(error, path) from None


def _slugs(source: Source, sections: Sequence[InstitutionSection]) -> list[str]:
    slugs: list[str] = []
    for place, section in enumerate(sections):
        slug = section.slug or slugify(section.name)
        if not slug:
            advice = "no identifier can be made of this name; add a slug of a-z, 0-9 and -"
            raise source.error(("institution", place, "name"), advice)
        if slug in slugs:
            key = "slug" if section.slug else "name"
            advice = f"{slug!r} stands twice; give each institution a name or slug of its own"
            raise source.error(("institution", place, key), advice)
        slugs.append(slug)
    return slugs


def _cohort(slugs: Sequence[str], sections: Sequence[InstitutionSection]) -> list[dict[str, Any]]:
    return [
        {"institution": slug, "cohort_size": section.cohort_size, "machine": section.machine}
        for slug, section in zip(slugs, sections, strict=True)
    ]


def _protocol(
    source: Source, study: StudySection, cohort: list[dict[str, Any]], public_file: Path | None
) -> Protocol:
    raw = source.raw
    document = {key: raw.get(key, {}) for key in SECTIONS if key not in ("study", "institution")}
    for name, defaults in DEFAULTS.items():
        document[name] = defaults | document[name]
    if not document["audit"]:
        del document["audit"]  # absent and empty are the same: no audit, and no key in the document
    data = document["data"]
    columns = {"columns": data["column"]} if "column" in data else {}
    document["data"] = {k: v for k, v in data.items() if k != "column"} | columns
    document["evaluation"] = _evaluation(source, public_file)
    document |= {"name": study.name, "purpose": study.purpose, "cohort": cohort}
    try:
        protocol = Protocol.model_validate(document, strict=True)
    except ValidationError as error:
        raise source.refusal(error) from None
    _check_parameters(source, ("model", "parameters"))
    return protocol


def _check_parameters(source: Source, path: KeyPath) -> None:
    """Only what JSON can say, since the protocol's digest is taken of JSON."""
    value = at(source.raw, path)
    if isinstance(value, dict | list):
        for part in value if isinstance(value, dict) else range(len(value)):
            _check_parameters(source, (*path, part))
    elif isinstance(value, float) and not math.isfinite(value):
        raise source.error(path, "must be a finite number")
    elif isinstance(value, int) and abs(value) > EXACT:
        raise source.error(path, f"must be a whole number from {-EXACT} to {EXACT}")
    elif value is not None and not isinstance(value, str | int | float):
        raise source.error(path, "must be a number, text, true, false, a list or a table")


def _evaluation(source: Source, public_file: Path | None) -> dict[str, Any]:
    stated = dict(source.raw.get("evaluation", {}))
    stated.pop("public_file", None)
    if public_file is None:
        return stated
    found = hashlib.sha256(public_file.read_bytes()).hexdigest()
    if stated.setdefault("public_digest", found) != found:
        advice = "is not the SHA-256 of public_file; remove it, it is computed"
        raise source.error(("evaluation", "public_digest"), advice)
    return stated


def _public_file(source: Source, base: Path | None) -> Path | None:
    path = ("evaluation", "public_file")
    value = source.raw.get("evaluation", {}).get("public_file")
    if value is None:
        return None
    if not isinstance(value, str):
        raise source.error(path, "must be the path of a CSV, Parquet or npz file, as text")
    return None if base is None else _existing(source, path, base / value)


def _data_file(source: Source, path: KeyPath, base: Path | None, need_data: bool) -> Path | None:
    value = source.raw["institution"][path[1]].get("data")
    if value is None and need_data:
        raise source.error(path, "missing; name the institution's CSV file to run the study here")
    if value is None or base is None:
        return Path(value) if value else None
    if (base / value).is_dir():
        return (base / value).resolve()  # of images
    return _existing(source, path, base / value)


def _existing(source: Source, path: KeyPath, file: Path) -> Path:
    if not file.is_file():
        raise source.error(path, f"there is no file {file}; paths are relative to the study file")
    return file.resolve()
