"""Reading what may be hostile: strict JSON, its one canonical form (RFC 8785), typed values."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MOST_DIGITS = 20  # of a whole number; the canonical form stops at 2^53 anyway
SAFE_INTEGER = 2**53 - 1
_DECIMAL = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?")
_HEX = re.compile(r"[0-9a-f]*")

# What Python raises when JSON holds another type or number than it should.
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Unreadable(Exception):
    """The file cannot be judged at all: it is no bundle, or one of a kind not known here."""


class Wrong(Exception):
    """Something that the bundle claims is not so."""


class Unknown(Unreadable):
    """Something newer than this program: it refuses to judge what it does not understand."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not known here; update the verifier")


def parse(text: str) -> Any:
    """A JSON value; refuses repeated keys, NaN, endless digits and endless nesting."""
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
        )
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"it is not JSON, or was cut short: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def canonical(value: Any) -> str:
    """RFC 8785: keys by their UTF-16 code units, no spaces, shortest numbers. Raises Wrong."""
    try:
        return _written(value)
    except RecursionError:
        raise Wrong("its JSON is nested too deeply") from None


def _written(value: Any) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: _utf16(key))
        return "{" + ",".join(f"{_text(key)}:{_written(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(each) for each in value) + "]"
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _number(value)


def _utf16(text: str) -> bytes:
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise Wrong("it holds half a character (a lone surrogate)") from error


def _text(value: str) -> str:
    _utf16(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: Any) -> str:
    if isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            raise Wrong(f"the whole number {value} is beyond 2^53")
        return str(value)
    if not math.isfinite(value):
        raise Wrong("a number is not finite")
    return _ecmascript(value)


def _ecmascript(value: float) -> str:
    """A float as ECMAScript writes it: the shortest digits that read back, exponents from 1e21."""
    if value == 0.0:
        return "0"
    sign, magnitude = ("-" if value < 0.0 else ""), repr(abs(value))
    mantissa, _, power = magnitude.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(power or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """`digits` with the decimal point after the first `point` of them."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{point - 1:+d}"


def pick(holder: Any, name: str, kind: type[Any]) -> Any:
    """holder[name] of the JSON type `kind`. Raises Wrong where it is not there, or is another."""
    if not isinstance(holder, dict) or name not in holder:
        raise Wrong(f"{name!r} is missing")
    value = holder[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Wrong(f"{name!r} is no {_NAMES.get(kind, kind.__name__)}")
    return value


_NAMES = {str: "text", int: "whole number", dict: "object", list: "list", bool: "true or false"}


def decimal(holder: Any, name: str) -> float:
    """A positive finite number written as decimal text. Raises Wrong."""
    text = pick(holder, name, str)
    value = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise Wrong(f"{name!r} is {text[:50]!r}, which is no decimal number")
    return value


def hexadecimal(holder: Any, name: str, length: int = 64) -> str:
    """Lower-case hexadecimal text of `length` digits. Raises Wrong."""
    return hexadecimal_text(pick(holder, name, str), name, length)


def hexadecimal_text(text: Any, name: str, length: int = 64) -> str:
    """`text` if it is lower-case hexadecimal of `length` digits. Raises Wrong."""
    if not isinstance(text, str) or len(text) != length or not _HEX.fullmatch(text):
        raise Wrong(f"{name!r} is not {length} lower-case hexadecimal digits")
    return text
