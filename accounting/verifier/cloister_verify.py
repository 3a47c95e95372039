#!/usr/bin/env python3
"""cloister-verify: checks an exported privacy ledger, for somebody who trusts nobody.

    python3 cloister_verify.py bundle.json --key HEX

Needs Python 3.9 or newer and the package `cryptography`, and nothing of the software that it
checks. It sends nothing anywhere and writes no file. Read it before you believe it; it is in
parts, each with a title. In the source of Cloister they are accounting/verifier/parts/*.py; this
file is put together from them by `python manage.py generate`, so change those.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import cmath
import hashlib
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from operator import mul
from pathlib import Path
from typing import Any, Callable, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# ==================================================================================================
# reading: part of cloister-verify
#
# Reading what may be hostile: strict JSON, its one canonical form (RFC 8785), typed values.
# ==================================================================================================

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


# ==================================================================================================
# inputs: part of cloister-verify
#
# Opening what the auditor gives: a file in another's place is told what it is and what to do.
# ==================================================================================================

MOST_BYTES = 1 << 30
EXPORT = "export a bundle (bundle.json) from the ledger's page"
WITH_REPORT = "give a bundle first, and this with it: cloister_verify.py bundle.json --report FILE"
FROM_JSON = "take the report's JSON, which is the report itself"
_BEGINNINGS = (
    (b"%PDF-", "a PDF", FROM_JSON),
    (b"PK\x03\x04", "a ZIP archive", "unpack it and give the JSON file that is in it"),
    (b"\x1f\x8b", "a gzip file", "unpack it first"),
    (b"<", "a web page or XML", "save the download itself, not the page that offers it"),
    (b"report,", "a report as CSV", FROM_JSON),
)
_SCHEMAS = (
    ("cloister-ledger/", "a study's ledger.json, which has no proofs and no signatures", EXPORT),
    ("cloister-verdict/", "a verdict of this program", "give the bundle that it was about"),
)


def read(path: str) -> Any:
    """The JSON document in a file. Raises Unreadable, with the reason as a sentence."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MOST_BYTES:
        raise Unreadable(f"{path} is larger than {MOST_BYTES} bytes")
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    _check_beginning(path, start)
    try:
        return parse(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path} is not UTF-8 text: download it again") from error
    except Unreadable as error:
        if start[:1] not in b"{[":
            raise Unreadable(f"{path} is not JSON: {EXPORT}") from error
        raise


def _check_beginning(path: str, start: bytes) -> None:
    if not start:
        raise Unreadable(f"{path} is empty: download it again")
    for beginning, kind, advice in _BEGINNINGS:
        if start.startswith(beginning):
            raise Unreadable(f"{path} is {kind}, not JSON: {advice}")


def is_report(document: Any) -> bool:
    """Whether it is a report by itself, or one with its signatures beside it."""
    if not isinstance(document, dict):
        return False
    inside = document.get("report")
    alone = isinstance(inside, dict) and str(inside.get("schema")).startswith("cloister-privacy-")
    return alone or {"text", "sha256", "signatures"} <= set(document)


def no_bundle(document: Any) -> str:
    """What a JSON document is that has none of a bundle's schemas, and what to do."""
    schema = str(document.get("schema", "")) if isinstance(document, dict) else ""
    if not schema and is_report(document):
        return f"this is a report, not a bundle: {WITH_REPORT}"
    for beginning, kind, advice in _SCHEMAS:
        if schema.startswith(beginning):
            return f"this is {kind}, not a bundle: {advice}"
    return "" if schema else f"this is no bundle: {EXPORT}"


def no_report(document: Any) -> str:
    """What was given as a report and is none; empty where it may be one."""
    if isinstance(document, dict) and str(document.get("schema")).startswith("cloister-bundle/"):
        return "--report was given a bundle: give the bundle first, without --report"
    if not is_report(document):
        return "--report was given a file that is no report: download the report's JSON"
    return ""


# ==================================================================================================
# trees: part of cloister-verify
#
# The Merkle tree over the ledger (RFC 6962, proofs as in RFC 9162), and Ed25519 signatures.
# ==================================================================================================

MOST_PROOF = 64


def sha256(data: bytes) -> bytes:
    """SHA-256 as 32 bytes."""
    return hashlib.sha256(data).digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data)


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right)


class Tree:
    """Grows leaf by leaf; keeps one hash per complete subtree, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """One more leaf hash: every two equal subtrees become one."""
        self.size += 1
        merges = self.size
        while merges % 2 == 0:
            leaf = node_hash(self._peaks.pop(), leaf)
            merges //= 2
        self._peaks.append(leaf)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return sha256(b"")
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


def check_inclusion(leaf: bytes, index: int, size: int, proof: Any, root: bytes) -> None:
    """RFC 9162, 2.1.3.2. Raises Wrong unless `leaf` is number `index` (from 0) of the tree."""
    if not 0 <= index < size:
        raise Wrong("its number is beyond the tree's size")
    at, last, found = index, size - 1, leaf
    for node in hashes(proof):
        if last == 0:
            raise Wrong("its inclusion proof is too long")
        if at % 2 or at == last:
            found = node_hash(node, found)
            at, last = _joined(at, last)
        else:
            found = node_hash(found, node)
        at, last = at >> 1, last >> 1
    if last != 0 or found != root:
        raise Wrong("its inclusion proof does not lead to the signed root")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Any) -> None:
    """RFC 9162, 2.1.4.2. Raises Wrong unless the newer tree begins with the older one."""
    nodes = hashes(proof)
    if not 0 <= old <= new:
        raise Wrong("the sizes of a consistency proof are out of order")
    if old in (0, new):
        if nodes or old_root != (sha256(b"") if old == 0 else new_root):
            raise Wrong(f"two different roots are signed for {old} entries")
        return
    if old & (old - 1) == 0:
        nodes = [old_root, *nodes]
    if not nodes or _climbed(old, new, nodes) != (old_root, new_root):
        raise Wrong(f"the tree of {new} entries does not begin with the signed tree of {old}")


def _climbed(old: int, new: int, nodes: list[bytes]) -> tuple[bytes, bytes]:
    """The roots of both trees, from a proof that begins with the subtree that they share."""
    at, last = old - 1, new - 1
    while at % 2:
        at, last = at >> 1, last >> 1
    older = newer = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise Wrong("a consistency proof is too long")
        if at % 2 or at == last:
            older, newer = node_hash(node, older), node_hash(node, newer)
            at, last = _joined(at, last)
        else:
            newer = node_hash(newer, node)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise Wrong("a consistency proof is too short")
    return older, newer


def _joined(at: int, last: int) -> tuple[int, int]:
    """Skips the levels at which a node at the right edge has no sibling."""
    while at % 2 == 0 and at:
        at, last = at >> 1, last >> 1
    return at, last


def hashes(proof: Any) -> list[bytes]:
    """A proof from its list of hexadecimal texts. Raises Wrong."""
    if not isinstance(proof, list) or len(proof) > MOST_PROOF:
        raise Wrong("a proof is no list of at most 64 hashes")
    return [bytes.fromhex(hexadecimal_text(node, "a hash of a proof")) for node in proof]


def check_signature(key: str, data: bytes, signature: str) -> None:
    """Raises Wrong unless `signature` (base64) over `data` was made by `key` (64 hex digits)."""
    try:
        raw = base64.b64decode(signature, validate=True)
        if base64.b64encode(raw).decode() != signature:
            raise Wrong("a signature is not written in the one form of its base64")
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(raw, data)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise Wrong(f"the signature was not made by the key {key[:16]}… over this") from error


def checkpoint_text(checkpoint: Any) -> bytes:
    """The bytes that the hub signs: context, origin, size, root in base64, time."""
    root = bytes.fromhex(hexadecimal_text(pick(checkpoint, "root", str), "root"))
    lines: Sequence[str] = (
        "cloister-checkpoint-v1",
        pick(checkpoint, "origin", str),
        str(pick(checkpoint, "size", int)),
        base64.b64encode(root).decode(),
        pick(checkpoint, "at", str),
    )
    if any("\n" in line for line in lines):
        raise Wrong("a checkpoint holds a line break")
    return "".join(f"{line}\n" for line in lines).encode()


# ==================================================================================================
# losses: part of cloister-verify
#
# How much a history reveals: discretised privacy losses, composed by Fourier transform.
#
# Nothing here is taken from the software that is checked. A mechanism is a pair of distributions
# (P, Q): its output with and without one person (or the other way round: both are looked at, and
# the worse one counts). Its hockey-stick curve is D(x) = sup over tests of P(test) − x·Q(test) at
# x = exp(ε); a history satisfies (ε, δ) if the composed curve is at most δ at exp(ε).
#
# Two curves with corners only at grid points x = exp(k·h) enclose D:
#  * above: the polygon through D at the grid points, for D is convex ("connect the dots",
#    Doroshenko et al. 2022, arXiv 2207.04380);
#  * below: the convex hull under what slightly wrong tests achieve, those with a threshold in the
#    middle between two grid points instead of at the best place.
# Each such curve is a discrete distribution of the privacy loss, so it composes by convolution,
# and keeps its side of the truth (Blackwell order). Both are off by the order of h² only.
# ==================================================================================================

Price = tuple[float, float, int]  # noise_multiplier, sample_rate, rows_per_unit
History = dict[Price, int]  # price -> steps

SPREAD = 9.5  # standard deviations of the noise that are looked at: 1 − 2e-21 of its mass
FINENESS = 0.08  # grid interval as a part of the standard deviation of one step's loss
MOST_POINTS = 2**17
LARGEST_LOSS = 600.0  # exp(600) is still a float
NEGLIGIBLE = 1e-6  # as a part of δ: what may be lost by cutting a window out of the tails
ROUNDING = 1e-15  # per step: what floating point may do to a mass


class TooLarge(Exception):
    """The history costs so much, or is so long, that this program cannot bound it."""


class Steps(NamedTuple):
    """One step's loss on the grid: masses of the curve above and below from index `first` on."""

    first: int
    above: list[float]
    below: list[float]
    infinite: float  # what the curve above moves to an infinite loss


class Test(NamedTuple):
    """How often a test says yes under P and under Q, and how often no: all four to full digits."""

    p: float
    q: float
    not_p: float
    not_q: float


class Corner(NamedTuple):
    """A corner of a curve D, with what it has above 1 − x: small on the left as D on the right.

    With both, the far tails on either side keep all their digits.
    """

    x: float
    excess: float
    value: float


class Spectra(NamedTuple):
    """Transforms (first half; the rest mirrors it) of the masses above and below."""

    above: list[complex]
    below: list[complex]


# --- one step ------------------------------------------------------------------------------


def log_binomial(count: int, taken: int, rate: float) -> float:
    """log of the probability that `taken` of `count` are in a sample of this rate (below 1)."""
    choose = math.lgamma(count + 1) - math.lgamma(taken + 1) - math.lgamma(count - taken + 1)
    return choose + taken * math.log(rate) + (count - taken) * math.log1p(-rate)


def weights(rate: float, rows: int) -> list[float]:
    """How many of a unit's `rows` are in the sample: the binomial distribution."""
    if rate == 1.0:
        return [0.0] * rows + [1.0]
    return [math.exp(log_binomial(rows, j, rate)) for j in range(rows + 1)]


def log_ratio(place: float, noise: float, mixture: list[float]) -> tuple[float, float]:
    """log(P/Q) at an output, and its slope: P mixes N(j, noise²) over j, Q is N(0, noise²)."""
    parts = [(j, math.log(w)) for j, w in enumerate(mixture) if w > 0.0]
    terms = [(j, log + (j * place - 0.5 * j * j) / noise**2) for j, log in parts]
    top = max(term for _, term in terms)
    scaled = [(j, math.exp(term - top)) for j, term in terms]
    total = math.fsum(part for _, part in scaled)
    return top + math.log(total), math.fsum(j * part for j, part in scaled) / (total * noise**2)


def threshold(loss: float, noise: float, mixture: list[float], near: float) -> float:
    """The output at which log(P/Q) is `loss`, sought from `near`; −inf where it never is as low."""
    if mixture[0] > 0.0 and loss <= math.log(mixture[0]):
        return -math.inf
    if len(mixture) == 2:
        return noise**2 * _unmixed(loss, mixture[1]) + 0.5
    return _newton(loss, noise, mixture, near)


def _unmixed(loss: float, rate: float) -> float:
    """log((exp(loss) − 1 + rate) / rate), without cancellation."""
    if rate == 1.0:
        return loss
    if loss < 1.0:
        ratio = math.expm1(loss) / rate
        return math.log1p(ratio) if ratio > -1.0 else -math.inf
    return loss - math.log(rate) + math.log1p((rate - 1.0) * math.exp(-loss))


def _newton(loss: float, noise: float, mixture: list[float], near: float) -> float:
    """log(P/Q) increases and is convex, so Newton's steps pass the root at most once."""
    place = near
    for _ in range(500):
        value, slope = log_ratio(place, noise, mixture)
        step = (value - loss) / slope if slope > 0.0 else -noise
        step = max(min(step, noise), -noise)
        place -= step
        if abs(step) < 1e-10 * noise:
            return place
    raise TooLarge("the privacy loss of a mechanism could not be inverted")


def tested(place: float, noise: float, mixture: list[float], remove: bool) -> Test:
    """What the test that decides by the threshold `place` achieves, in one of both directions."""
    p, not_p, scale = 0.0, 0.0, noise * math.sqrt(2.0)
    for j, share in enumerate(mixture):
        if share > 0.0:
            p += 0.5 * share * math.erfc((place - j) / scale)
            not_p += 0.5 * share * math.erfc((j - place) / scale)
    q, not_q = 0.5 * math.erfc(place / scale), 0.5 * math.erfc(-place / scale)
    return Test(p, q, not_p, not_q) if remove else Test(not_q, not_p, q, p)


def one_step(price: Price, interval: float, remove: bool) -> Steps:
    """The two enclosing curves of one step, as masses on the grid."""
    noise, rate, rows = price
    mixture = weights(rate, rows)
    ends = [log_ratio(z, noise, mixture)[0] for z in (-SPREAD * noise, rows + SPREAD * noise)]
    low, high = ends if remove else (-ends[1], -ends[0])
    if max(-low, high) > LARGEST_LOSS:
        raise TooLarge("one step alone may cost more than ε = 600")
    first, last = math.floor(low / interval), math.ceil(high / interval) + 1
    if last - first > MOST_POINTS:
        raise TooLarge("the privacy loss of one step needs too fine a grid")
    sign = 1.0 if remove else -1.0
    tests: list[Test] = []
    place = before = -SPREAD * noise
    for half in range(2 * first, 2 * last + 1) if remove else range(2 * last, 2 * first - 1, -1):
        found = threshold(sign * 0.5 * half * interval, noise, mixture, 2.0 * place - before)
        if math.isfinite(found):
            place, before = found, place
        tests.append(tested(found, noise, mixture, remove))
    xs = [math.exp(k * interval) for k in range(first, last + 1)]
    return _enclosed(first, xs, tests if remove else tests[::-1])


def _enclosed(first: int, xs: list[float], tests: list[Test]) -> Steps:
    """Masses above and below, of tests with thresholds at every half grid point."""
    above = [Corner(x, x * t.not_q - t.not_p, t.p - x * t.q) for x, t in zip(xs, tests[::2])]
    # Between two grid points stands one wrong test. Before the first: always "yes"; last: "no".
    wrong = [Test(1.0, 1.0, 0.0, 0.0), *tests[1:-2:2], *[Test(0.0, 0.0, 1.0, 1.0)] * 2]
    pairs = list(zip(xs, wrong, wrong[1:]))
    left = _cut([min(x * t.not_q - t.not_p for t in pair) for x, *pair in pairs[-first::-1]])[::-1]
    right = _cut([min(t.p - x * t.q for t in pair) for x, *pair in pairs[-first:]])
    left[-1] = right[0] = min(left[-1], right[0])
    below = [Corner(x, value, value + 1.0 - x) for x, value in zip(xs, left)]
    below += [Corner(x, value - 1.0 + x, value) for x, value in zip(xs[1 - first :], right[1:])]
    above_masses, below_masses = _masses(above), _masses(_hull([Corner(0.0, 0.0, 1.0), *below]))
    return Steps(first, above_masses, below_masses, max(above[-1].value, 0.0))


def _cut(values: list[float]) -> list[float]:
    """Zero from just before the first value that is not positive: a curve never falls below 0."""
    end = next((k for k, value in enumerate(values) if value <= 0.0), len(values))
    return [value if k < end - 1 else 0.0 for k, value in enumerate(values)]


def _hull(corners: list[Corner]) -> list[Corner]:
    """The lower convex hull, read again at each corner but the first."""
    kept: list[Corner] = []
    for corner in corners:
        while len(kept) > 1 and _turns_down(kept[-2], kept[-1], corner):
            kept.pop()
        kept.append(corner)
    answer, at = [], 0
    for corner in corners[1:]:
        while kept[at + 1].x < corner.x:
            at += 1
        answer.append(_between(kept[at], kept[at + 1], corner.x))
    return answer


def _turns_down(a: Corner, b: Corner, c: Corner) -> bool:
    return _slope(a, b, c.x) >= _slope(b, c, c.x)


def _slope(a: Corner, b: Corner, until: float) -> float:
    """Of the curve above 1 − x where all is left of 1, for its small numbers; else of the curve."""
    rise = b.excess - a.excess if until <= 1.0 else b.value - a.value
    return rise / (b.x - a.x)


def _between(a: Corner, b: Corner, x: float) -> Corner:
    if x == b.x:
        return b
    share = (x - a.x) / (b.x - a.x)
    value = a.value + (b.value - a.value) * share
    excess = a.excess + (b.excess - a.excess) * share
    return Corner(x, excess, value)


def _masses(corners: list[Corner]) -> list[float]:
    """P-masses of the discrete pair whose hockey-stick curve has these corners: x·Δ(slope)."""
    points = [Corner(0.0, 0.0, 1.0), *corners]
    masses = []
    for a, b, c in zip(points, points[1:], points[2:]):
        if b.x == 1.0:
            turn = _slope(b, c, c.x) - _slope(a, b, b.x) + 1.0
        else:
            turn = _slope(b, c, c.x) - _slope(a, b, c.x)
        masses.append(b.x * turn)
    return [*masses, -corners[-1].x * _slope(corners[-2], corners[-1], corners[-1].x)]


# --- many steps ----------------------------------------------------------------------------


def transform(values: list[complex]) -> list[complex]:
    """The discrete Fourier transform of 2^n values, in n equal passes over them (Pease 1968)."""
    passes, order = _plan(len(values))
    half = len(values) // 2
    for turns in passes:
        low, high = values[:half], values[half:]
        values = low + high
        values[::2] = [a + b for a, b in zip(low, high)]
        values[1::2] = [(a - b) * turn for a, b, turn in zip(low, high, turns)]
    return [values[place] for place in order]


_PLANS: dict[int, tuple[list[list[complex]], list[int]]] = {}


def _plan(size: int) -> tuple[list[list[complex]], list[int]]:
    """The factors of each pass, and where each result stands in the end: in order of its bits."""
    if size not in _PLANS:
        turns = [cmath.exp(-2j * math.pi * k / size) for k in range(size // 2)]
        passes, order = [], [0]
        for level in range(size.bit_length() - 1):
            passes.append([turns[place >> level << level] for place in range(size // 2)])
            order = [2 * place for place in order] + [2 * place + 1 for place in order]
        _PLANS[size] = passes, order
    return _PLANS[size]


def spectra(step: Steps, size: int) -> Spectra:
    """Both transforms at the price of one: the masses below ride on the imaginary axis."""
    both: list[complex] = [complex(a, b) for a, b in zip(step.above, step.below)]
    found = transform(both + [0j] * (size - len(both)))
    pairs = [(found[j], found[-j].conjugate()) for j in range(size // 2 + 1)]
    return Spectra([(a + b) / 2 for a, b in pairs], [(a - b) / 2j for a, b in pairs])


def masses_of(both: Spectra) -> tuple[list[float], list[float]]:
    """The masses above and below, by one inverse transform."""
    half = [a + 1j * b for a, b in zip(both.above, both.below)]
    rest = [a.conjugate() + 1j * b.conjugate() for a, b in zip(both.above, both.below)]
    size = 2 * (len(half) - 1)
    found = transform([value.conjugate() for value in half + rest[-2:0:-1]])
    return [v.real / size for v in found], [-v.imag / size for v in found]


def epsilon_at(losses: list[float], masses: list[float], room: float) -> float:
    """The ε at which the divergence of these masses passes `room`: 0 if nowhere, inf if always."""
    if room <= 0.0:
        return math.inf
    upper, lower = 0.0, 0.0
    for place in range(len(losses) - 1, -1, -1):
        if losses[place] <= 0.0:
            return 0.0
        upper += masses[place]
        lower += masses[place] * math.exp(-losses[place])
        until = max(losses[place - 1] if place else 0.0, 0.0)
        if upper - math.exp(until) * lower > room:
            return max(0.0, math.log((upper - room) / lower))
    return 0.0


# ==================================================================================================
# histories: part of cloister-verify
#
# The ε of a whole history as a certified interval, quick where it grows row by row.
# ==================================================================================================

KEPT_PRODUCTS, KEPT_SPECTRA, KEPT_STEPS, KEPT_MOMENTS = 12, 64, 512, 100_000


class Interval(NamedTuple):
    """ε is certainly in [low, high]."""

    low: float
    high: float


class Grid(NamedTuple):
    """Losses k·interval; transforms of `size` points; one of the two directions."""

    interval: float
    size: int
    remove: bool


class Product(NamedTuple):
    """The transform of a history without its full-batch part, kept to go on from."""

    grid: Grid
    history: History
    spectra: Spectra


class Kept(dict):
    """Remembers the newest entries only, so that a long ledger does not fill the memory."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: object, value: object) -> None:
        """Forget the oldest entry where there are too many."""
        super().__setitem__(key, value)
        if len(self) > self.most:
            del self[next(iter(self))]


class Composer:
    """Composes histories. The transforms of steps are kept, and the last products."""

    def __init__(self) -> None:
        self._steps: dict[tuple[Price, float, bool], Steps] = Kept(KEPT_STEPS)
        self._moments: dict[tuple[Price, float, bool, int], float] = Kept(KEPT_MOMENTS)
        self._spectra: dict[tuple[Price, Grid], Spectra] = Kept(KEPT_SPECTRA)
        self._variances: dict[Price, float] = {}
        self._products: list[Product] = []
        self._known: dict[tuple[tuple[tuple[Price, int], ...], float], Interval] = {}

    def epsilon(self, history: History, delta: float) -> Interval:
        """Where the ε of a history at δ lies. Raises TooLarge where that cannot be said."""
        history = gathered(history)
        key = (tuple(sorted(history.items())), delta)
        if key not in self._known:
            try:
                self._known[key] = self._epsilon(history, delta)
            except (ArithmeticError, ValueError) as error:
                raise TooLarge("the numbers leave what floating point can hold") from error
        return self._known[key]

    def _epsilon(self, history: History, delta: float) -> Interval:
        if not history:
            return Interval(0.0, 0.0)
        total = math.fsum(n * self._variance(price) for price, n in history.items())
        # A power of two that is fine beside the average step, so that a longer history keeps it.
        fine = math.log2(FINENESS * math.sqrt(total / sum(history.values())))
        sides = [self._side(history, delta, 2.0 ** math.floor(fine), way) for way in (True, False)]
        return Interval(max(s.low for s in sides), max(s.high for s in sides))

    def _variance(self, price: Price) -> float:
        if price not in self._variances:
            self._variances[price] = variance(price)
        return self._variances[price]

    def _side(self, history: History, delta: float, interval: float, remove: bool) -> Interval:
        """One direction; on a coarser grid where a transform would be too long."""
        first, last = self._window(history, delta * NEGLIGIBLE, interval, remove)
        longest = max(len(self._step(p, interval, remove).above) for p in history)
        needed = max(last - first + 1, longest)
        if needed > MOST_POINTS:
            return self._side(history, delta, 2.0 * interval, remove)
        grid = Grid(interval, 2 ** math.ceil(math.log2(needed)), remove)
        above, below = masses_of(self._composed(history, grid))
        steps = {price: self._step(price, interval, remove) for price in history}
        start = (first - sum(n * steps[p].first for p, n in history.items())) % grid.size
        losses = [(first + k) * interval for k in range(grid.size)]
        doubt = delta * NEGLIGIBLE + ROUNDING * (20 + sum(history.values()))
        finite = math.fsum(n * math.log1p(-steps[p].infinite) for p, n in history.items())
        return Interval(
            epsilon_at(losses, below[start:] + below[:start], delta + 2.0 * doubt),
            epsilon_at(losses, above[start:] + above[:start], delta - doubt + math.expm1(finite)),
        )

    def _step(self, price: Price, interval: float, remove: bool) -> Steps:
        remove = remove or price[1] == 1.0  # without sampling both directions are the same
        key = (price, interval, remove)
        if key not in self._steps:
            self._steps[key] = one_step(price, interval, remove)
        return self._steps[key]

    def _window(
        self, history: History, negligible: float, interval: float, remove: bool
    ) -> tuple[int, int]:
        """Grid indices outside which lies less than `negligible` (Chernoff's bound)."""
        deviation = math.sqrt(math.fsum(n * self._variance(p) for p, n in history.items()))
        middle = round(-2.0 * math.log2(deviation))
        ends: dict[int, list[float]] = {1: [], -1: []}
        for place in range(middle - 6, middle + 12):
            for side in ends:
                moment = math.fsum(
                    n * self._moment(p, interval, remove, side * (place + 1000))
                    for p, n in history.items()
                )
                ends[side].append((moment - math.log(negligible / 2.0)) / 2.0 ** (0.5 * place))
        first, last = -min(ends[-1]), min(ends[1])
        return math.floor(first / interval), math.ceil(last / interval)

    def _moment(self, price: Price, interval: float, remove: bool, code: int) -> float:
        """log E[exp(±λ·loss)] with λ = √2^(|code| − 1000): the larger of above and below."""
        key = (price, interval, remove or price[1] == 1.0, code)
        if key not in self._moments:
            order = math.copysign(2.0 ** (0.5 * (abs(code) - 1000)), code)
            self._moments[key] = moment(self._step(price, interval, remove), order * interval)
        return self._moments[key]

    def _composed(self, history: History, grid: Grid) -> Spectra:
        sampled = {price: n for price, n in history.items() if price[1] < 1.0}
        found = self._nearest(sampled, grid)
        product = found.spectra if found else None
        for price, n in sampled.items():
            more = n - (found.history.get(price, 0) if found else 0)
            if more:
                product = multiplied(product, self._spectrum(price, grid), more)
        if product is not None and (found is None or found.history != sampled):
            self._products = [*self._products[1 - KEPT_PRODUCTS :], Product(grid, sampled, product)]
        for price in history.keys() - sampled.keys():
            product = multiplied(product, self._spectrum(price, grid), history[price])
        if product is None:
            raise TooLarge("an empty history has no loss")
        return product

    def _nearest(self, sampled: History, grid: Grid) -> Product | None:
        """The longest kept product that `sampled` goes on from."""
        fitting = [
            kept
            for kept in self._products
            if kept.grid == grid and all(n <= sampled.get(p, 0) for p, n in kept.history.items())
        ]
        return max(fitting, key=lambda kept: sum(kept.history.values()), default=None)

    def _spectrum(self, price: Price, grid: Grid) -> Spectra:
        grid = grid._replace(remove=grid.remove or price[1] == 1.0)
        if (price, grid) not in self._spectra:
            step = self._step(price, grid.interval, grid.remove)
            self._spectra[price, grid] = spectra(step, grid.size)
        return self._spectra[price, grid]


def gathered(history: History) -> History:
    """The same, with all full-batch Gaussian steps as the one that they exactly compose to."""
    sampled = {price: n for price, n in history.items() if price[1] < 1.0}
    precision = math.fsum(n * (p[2] / p[0]) ** 2 for p, n in history.items() if p[1] == 1.0)
    return {**sampled, (precision**-0.5, 1.0, 1): 1} if precision else sampled


def variance(price: Price) -> float:
    """The variance of one step's privacy loss, in the direction where it is smaller."""
    noise, rate, rows = price
    if rate == 1.0:
        return (rows / noise) ** 2
    mixture = weights(rate, rows)
    count = 8 * (math.ceil(rows / noise) + 2 * math.ceil(SPREAD))
    places = [-SPREAD * noise + k * noise / 8.0 for k in range(min(count, 20_000))]
    losses = [log_ratio(z, noise, mixture)[0] for z in places]
    plain = [math.exp(-0.5 * (z / noise) ** 2) for z in places]
    mixed = [w * math.exp(loss) for w, loss in zip(plain, losses)]
    return min(_variance_of(losses, plain), _variance_of(losses, mixed))


def _variance_of(values: list[float], masses: list[float]) -> float:
    total = math.fsum(masses)
    mean = math.fsum(v * m for v, m in zip(values, masses)) / total
    return max(math.fsum(m * (v - mean) ** 2 for v, m in zip(values, masses)) / total, 1e-300)


def moment(step: Steps, rate: float) -> float:
    """log E[exp(rate·index)], the larger of the masses above and below; `rate` per grid point."""
    top = max(rate * step.first, rate * (step.first + len(step.above)))
    growth = [math.exp(rate * (step.first + k) - top) for k in range(len(step.above))]
    sums = [sum(map(mul, masses, growth)) for masses in (step.above, step.below)]
    return top + math.log(max(sums)) if max(sums) > 0.0 else math.inf


def multiplied(product: Spectra | None, factor: Spectra, count: int) -> Spectra:
    """`product` (1 where None) composed with `count` more steps."""
    powers = factor if count == 1 else Spectra(*([v**count for v in side] for side in factor))
    if product is None:
        return powers
    return Spectra(*(list(map(mul, old, new)) for old, new in zip(product, powers)))


# ==================================================================================================
# renyi: part of cloister-verify
#
# Rényi accounting, for the rows whose ε was derived that way (filters at a sealed order).
#
# Moments: Mironov, Talwar and Zhang 2019 (arXiv 1908.10530): a finite sum of positive terms at
# whole orders; at the others, and for several rows of one unit, the integral itself, by the
# trapezoid rule, which converges geometrically here. From a Rényi divergence to (ε, δ): Canonne,
# Kamath and Steinke 2020 (arXiv 2004.00010, proposition 12), and Bretagnolle-Huber where ε = 0.
# ==================================================================================================

# The orders that a figure "rdp" takes the best of, as its specification lists them.
ORDERS = (
    [1.02, 1.05]
    + [n / 10 for n in range(11, 110) if n % 10]
    + [float(n) for n in range(2, 64)]
    + [64.0, 72.0, 80.0, 96.0, 112.0, 128.0, 160.0, 192.0, 256.0, 320.0, 384.0, 512.0, 768.0]
    + [1024.0]
)
MOST_PLACES = 400_000
LEAST_NOISE, MANY_ROWS, REACH = 0.03, 32, 4096.0


class Renyi:
    """Remembers the divergence of one step at each order."""

    def __init__(self) -> None:
        self._known: dict[tuple[Price, float], float] = {}
        self._figures: dict[tuple[object, ...], float] = {}

    def at(self, history: History, order: float) -> float:
        """The Rényi divergence of a whole history at one order: composing is adding."""
        return math.fsum(n * self._step(price, order) for price, n in history.items())

    def epsilon(self, history: History, delta: float, order: float | None = None) -> float:
        """The ε that one order proves at δ; the least that any of ORDERS proves where None."""
        key = (tuple(sorted(history.items())), delta, order)
        if key not in self._figures:
            self._figures[key] = self._epsilon(history, delta, order)
        return self._figures[key]

    def _epsilon(self, history: History, delta: float, order: float | None) -> float:
        if not history:
            return 0.0
        if order is not None:
            return converted(self.at(history, order), order, delta)
        if all(rows == 1 or rate == 1.0 for _, rate, rows in history):
            return min(converted(self.at(history, each), each, delta) for each in ORDERS)
        return self._sought(history, delta)

    def _sought(self, history: History, delta: float) -> float:
        """The least of all orders by bisection, for integrals take time: ε falls, then rises."""
        orders = sorted(ORDERS)
        low, high = 0, len(orders) - 1
        while low < high:
            here, next_ = (
                converted(self.at(history, orders[k]), orders[k], delta)
                for k in ((low + high) // 2, (low + high) // 2 + 1)
            )
            if here <= next_:
                high = (low + high) // 2
            else:
                low = (low + high) // 2 + 1
        return converted(self.at(history, orders[low]), orders[low], delta)

    def _step(self, price: Price, order: float) -> float:
        if (price, order) not in self._known:
            try:
                self._known[price, order] = divergence(price, order)
            except (OverflowError, ValueError, ZeroDivisionError) as error:
                raise TooLarge("a Rényi divergence leaves what floating point holds") from error
        return self._known[price, order]


def converted(divergence_: float, order: float, delta: float) -> float:
    """ε at δ from the divergence at one order."""
    if delta * delta + math.expm1(-divergence_) > 0.0:
        return 0.0
    loss = divergence_ + math.log1p(-1.0 / order) - math.log(delta * order) / (order - 1.0)
    return max(loss, 0.0)


def admitted(limit: float, delta: float, order: float) -> float:
    """The largest divergence at `order` that still proves (limit, δ)."""
    free = -math.log1p(-delta * delta)
    return max(limit - math.log1p(-1.0 / order) + math.log(delta * order) / (order - 1.0), free)


def whole_budget(limit: float, delta: float, order: float) -> float:
    """What a study may come to at `order` whose own filter keeps (limit, δ) at its best order."""
    own = best_order(limit, delta)
    return admitted(limit, delta, own) * max(1.0, order / own)


def filling(divergence_: float, order: float) -> Price:
    """The one full-batch Gaussian step of this divergence: it stands for what is not chosen yet."""
    return (math.sqrt(order / (2.0 * divergence_)), 1.0, 1)


def best_order(limit: float, delta: float) -> float:
    """The order at which a budget (limit, δ) admits most Gaussian steps: known in advance."""
    return max(
        ORDERS,
        key=lambda a: (limit - math.log1p(-1.0 / a) + math.log(delta * a) / (a - 1.0)) / a,
    )


def divergence(price: Price, order: float) -> float:
    """The Rényi divergence of one step at `order`, in the direction where it is larger.

    Where an integral would take too many points, convexity in the mixture bounds it from above;
    figures that are written are made in the same way.
    """
    noise, rate, rows = price
    if rate == 1.0:
        return order * (rows / noise) ** 2 / 2.0
    if rows == 1 and order == int(order):
        return _summed(noise, rate, int(order)) / (order - 1.0)
    if noise < LEAST_NOISE or (rows > 1 and (rows > MANY_ROWS or order * rows > REACH * noise)):
        return _convex(noise, rate, rows, order) / (order - 1.0)
    moment_ = _integrated(price, order)
    if rows > 1:
        # For one row, removing it is known to cost more than adding it.
        moment_ = max(moment_, _integrated(price, 1.0 - order))
        moment_ = min(moment_, _convex(noise, rate, rows, order))
    return moment_ / (order - 1.0)


def _convex(noise: float, rate: float, rows: int, order: float) -> float:
    """log Σ_j Binomial(rows, q)(j) exp(a(a − 1) j² / 2σ²): the mixture taken out of the power."""
    logs = [order * (order - 1.0) * j * j / (2.0 * noise**2) for j in range(rows + 1)]
    logs = [log + log_binomial(rows, j, rate) for j, log in enumerate(logs)]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(log - top) for log in logs))


def _summed(noise: float, rate: float, order: int) -> float:
    """log Σ_i C(order, i) (1 − q)^(order − i) q^i exp((i² − i) / 2σ²), without its 1."""
    logs: list[float] = []
    for i in range(2, order + 1):
        growth = (i * i - i) / (2.0 * noise**2)
        logs.append(log_binomial(order, i, rate) + growth + math.log(-math.expm1(-growth)))
    return _log_one_plus(logs)


def _integrated(price: Price, power: float) -> float:
    """log E[f^power] over N(0, σ²), f = P/Q: as 1 + E[f^a − 1 − a(f − 1)], which never cancels."""
    noise, _, rows = price
    # Orders up to 11 share their points, and with them the costly part.
    high = rows * max(power, 11.0) + 13.0 * noise
    low = rows * min(power, 0.0) - 13.0 * noise
    weighed = _weighed(price, low, high)
    return _log_one_plus([_log_excess(power, log_f) + log_w for log_f, log_w in weighed])


@lru_cache(maxsize=64)
def _weighed(price: Price, low: float, high: float) -> list[tuple[float, float]]:
    """At each point of the trapezoid rule: log(P/Q), and the logarithm of the point's weight."""
    noise, rate, rows = price
    step, mixture = min(noise / 4.0, noise**2 / 2.0), weights(rate, rows)
    count = math.ceil((high - low) / step)
    if count > MOST_PLACES:
        raise TooLarge(f"with noise multiplier {noise:g} the integral takes too many points")
    scale = math.log(step) - math.log(noise * math.sqrt(2.0 * math.pi))
    places = [low + k * step for k in range(count + 1)]
    return [(log_ratio(z, noise, mixture)[0], scale - 0.5 * (z / noise) ** 2) for z in places]


def _log_excess(power: float, log_f: float) -> float:
    """log(f^a − 1 − a(f − 1)), a > 1 or a < 0; −inf where floating point says 0."""
    if log_f < 20.0 and power * log_f < 600.0:
        excess = math.expm1(power * log_f) - power * math.expm1(log_f)
        return math.log(excess) if excess > 0.0 else -math.inf
    if power * log_f >= log_f:  # f^a outgrows a·f
        return power * log_f + math.log1p(-power * math.exp((1.0 - power) * log_f))
    return log_f + math.log(-power)


def _log_one_plus(logs: list[float]) -> float:
    """log(1 + Σ exp(logs))."""
    top = max(max(logs), 0.0)
    total = math.fsum(math.exp(value - top) for value in logs)
    return math.log1p(total) if top == 0.0 else top + math.log(math.exp(-top) + total)


# ==================================================================================================
# figures: part of cloister-verify
#
# Events as they are written, and an ε that somebody wrote against the ε of the events.
# ==================================================================================================

MECHANISMS = ("poisson_sampled_gaussian", "gaussian")
WORDS = {
    "sampler": ("poisson", "full_batch"),
    "noise_grade": ("float noise, CSPRNG", "hardened"),
    "neighbouring": ("add_remove",),
}
NUMBERS = ("max_grad_norm", "batch_denominator")
FIELDS = ("mechanism", "noise_multiplier", "sample_rate", "steps", "unit", "rows_per_unit")
MOST_STEPS, MOST_ROWS = 10**12, 10**4
SEALED_ORDER = re.compile(r"order ([0-9.]+), sealed in advance")
# How far a written ε may be above the certified upper end: accountant -> (relative, absolute).
# A hub's own grid may be coarser than the one here; below the lower end nothing is allowed.
TOLERANCES = {
    "pld": (1e-3, 2e-4),
    "dp_accounting_pld": (1e-3, 2e-4),
    "prv": (1e-2, 2.5e-2),
}
RENYI_TOLERANCE = 1e-6  # relative: a Rényi figure is a formula, with no grid


class Event(NamedTuple):
    """What decides the price of an event, how often it was done, and the unit it protects."""

    price: Price
    steps: int
    unit: str


def event(document: Any) -> Event:
    """An event, every part of it understood. Raises Wrong, or Unknown for what is newer."""
    mechanism = pick(document, "mechanism", str)
    _check_words(document, mechanism)
    noise, rate = decimal(document, "noise_multiplier"), decimal(document, "sample_rate")
    steps = pick(document, "steps", int)
    rows = pick(document, "rows_per_unit", int) if "rows_per_unit" in document else 1
    if not (1e-6 <= noise <= 1e12 and 1e-12 <= rate <= 1.0):
        raise Wrong("an event's noise or sample rate is out of range")
    if not (1 <= steps <= MOST_STEPS and 1 <= rows <= MOST_ROWS):
        raise Wrong("an event's number of steps, or of rows of a unit, is out of range")
    if rate != 1.0 and (mechanism == "gaussian" or document.get("sampler") == "full_batch"):
        raise Wrong("an event without sampling claims to be amplified by sampling")
    unit = pick(document, "unit", str) if "unit" in document else "row"
    return Event((noise, rate, rows), steps, unit)


def _check_words(document: dict[str, Any], mechanism: str) -> None:
    if mechanism not in MECHANISMS:
        raise Unknown(f"the mechanism {mechanism[:80]!r}")
    for name in document:
        if name not in FIELDS and name not in WORDS and name not in NUMBERS:
            raise Unknown(f"the part {name[:80]!r} of a privacy event")
    for name, known in WORDS.items():
        if document.get(name, known[0]) not in known:
            raise Unknown(f"the {name} {str(document[name])[:80]!r}")


def history(events: Iterable[Event]) -> History:
    """Equal events added up."""
    total: dict[Price, int] = {}
    for each in events:
        total[each.price] = total.get(each.price, 0) + each.steps
    return total


class Figures:
    """Derives ε again, by the accountant that a figure names."""

    def __init__(self) -> None:
        self._composer, self._renyi = Composer(), Renyi()
        self.checked = 0

    def check(self, figure: Any, spent: History, order: float | None = None) -> Interval:
        """The interval in which the ε of `spent` lies, if `figure` is right about it.

        With `order`, the figure must be by the Rényi filter sealed at that order. Raises Wrong
        where the figure is not the ε of this history, TooLarge where that cannot be decided.
        """
        said, delta, accountant = self._read(figure)
        sealed_at = sealed_order(figure)
        if order is not None and (accountant, sealed_at) != ("rdp", order):
            raise Wrong(f"it was not judged by the Rényi filter at the sealed order {order:g}")
        derived, above = self.interval(accountant, spent, delta, sealed_at)
        self.checked += 1
        words = f"ε = {said:.6g} at δ = {delta:g} ({accountant})"
        if said < derived.low - above[2]:
            raise Wrong(f"it says {words}, but its events cost at least {derived.low:.6g}")
        if said > derived.high * (1.0 + above[0]) + above[1]:
            raise Wrong(f"it says {words}, but its events cost at most {derived.high:.6g}")
        return derived

    def check_largest(self, figure: Any, spent: list[History]) -> Interval:
        """As `check`, for the largest ε of several histories."""
        _, delta, accountant = self._read(figure)
        at = sealed_order(figure)
        found = [self.interval(accountant, each, delta, at)[0].high for each in spent]
        return self.check(figure, spent[found.index(max(found))])

    def check_divergence(self, body: Any, left: History, order: float, more: float) -> None:
        """Whether a row gives back exactly the Rényi divergence of `left`, and `more`."""
        said, cost = decimal(body, "rdp_returned"), self._renyi.at(left, order) + more
        if abs(said - cost) > RENYI_TOLERANCE * max(cost, 1.0):
            raise Wrong(f"it returns {said:.6g} at order {order:g}, what is left costs {cost:.6g}")

    def divergence(self, spent: History, order: float) -> float:
        """What a history costs in a filter's currency: its Rényi divergence at one order."""
        return self._renyi.at(spent, order)

    def interval(
        self, accountant: str, spent: History, delta: float, order: float | None = None
    ) -> tuple[Interval, tuple[float, float, float]]:
        """ε by one accountant; how far above (relative, absolute) and below a figure may lie."""
        if accountant == "rdp":
            found = self._renyi.epsilon(spent, delta, order)
            slack = RENYI_TOLERANCE * max(found, 1.0)
            above = 1e-3 if any(rows > 1 for _, _, rows in spent) else 0.0
            return Interval(found, found), (above, slack, slack)
        if accountant not in TOLERANCES:
            raise Unknown(f"the accountant {accountant!r}")
        return self._composer.epsilon(spent, delta), (*TOLERANCES[accountant], 1e-9)

    @staticmethod
    def _read(figure: Any) -> tuple[float, float, str]:
        said, delta = decimal(figure, "epsilon"), decimal(figure, "delta")
        if not 1e-10 <= delta < 1.0:
            raise Wrong(f"δ is {delta!r}, outside 1e-10 to 1")
        return said, delta, pick(figure, "accountant", str)


def sealed_order(figure: Any) -> float | None:
    """The order at which a filter judged, where a figure names one. Raises Wrong."""
    found = SEALED_ORDER.fullmatch(str(figure.get("discretisation", "")))
    if found is None:
        return None
    order = float(found.group(1)) if found.group(1).count(".") < 2 else 0.0
    if order not in ORDERS:
        raise Wrong(f"the order {found.group(1)} is none of those that a filter may have")
    return order


def check_shown(figure: Any, where: str) -> None:
    """The rounded figure, which people read, is not below the exact one. Raises Wrong."""
    try:
        rounded_down = Decimal(pick(figure, "shown", str)) < Decimal(pick(figure, "epsilon", str))
    except InvalidOperation:
        raise Wrong(f"of {where} it shows an ε that is no number") from None
    if rounded_down:
        raise Wrong(f"of {where} it shows ε = {figure['shown']}, less than {figure['epsilon']}")


# ==================================================================================================
# findings: part of cloister-verify
#
# What was checked and what came of it, in the order in which an auditor reads it.
# ==================================================================================================

GOOD, WRONG, WARNING, SKIPPED, UNSURE = "ok", "wrong", "warning", "skipped", "unsure"
MARKS = {GOOD: "✓", WRONG: "✗", WARNING: "!", SKIPPED: "–", UNSURE: "?"}
TITLES = {
    "key": "the hub's key",
    "canonical": "canonical form",
    "digests": "digests and chain",
    "sequence": "sequence",
    "tree": "Merkle tree",
    "checkpoints": "signed checkpoints",
    "consistency": "consistency",
    "witnesses": "witnesses",
    "transitions": "transitions",
    "idempotency": "idempotency keys",
    "charges": "charges before releases",
    "budgets": "budgets",
    "attested": "attestations",
    "audits": "empirical audits",
    "choices": "chosen noise",
    "epsilon": "every ε",
    "report": "report",
}


class Finding(NamedTuple):
    """One sentence; `entry` is the sequence number that it is about, where there is one."""

    check: str
    state: str
    sentence: str
    entry: int | None = None


class Verdict:
    """Collects findings. Of each check the first wrong entry is kept, and how many follow."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._more: dict[str, int] = {}

    def wrong(self, check: str, why: str, entry: int | None = None) -> None:
        """The bundle claims something that is not so."""
        self._once(Finding(check, WRONG, why, entry))

    def unsure(self, check: str, why: str, entry: int | None = None) -> None:
        """Something that this program cannot decide either way."""
        self._once(Finding(check, UNSURE, why, entry))

    def warn(self, check: str, why: str) -> None:
        """True as far as it goes, but the auditor must know this."""
        self.findings.append(Finding(check, WARNING, why))

    def skip(self, check: str, why: str) -> None:
        """Not checked, and why."""
        self.findings.append(Finding(check, SKIPPED, why))

    def good(self, check: str, what: str) -> None:
        """Everything of this check holds, unless something else was found before."""
        if not {WRONG, UNSURE, SKIPPED} & self.states(check):
            self.findings.append(Finding(check, GOOD, what))

    def states(self, check: str) -> set[str]:
        """The states of the findings of one check."""
        return {found.state for found in self.findings if found.check == check}

    def _once(self, finding: Finding) -> None:
        if finding.state in self.states(finding.check):
            self._more[finding.check] = self._more.get(finding.check, 0) + 1
        else:
            self.findings.append(finding)

    @property
    def code(self) -> int:
        """The exit status: 0 everything holds, 1 something is wrong, 2 something is undecided."""
        states = {found.state for found in self.findings}
        return 1 if WRONG in states else 2 if UNSURE in states else 0

    def lines(self) -> list[str]:
        """One line for each finding, by check."""
        order = list(TITLES)
        found = sorted(self.findings, key=lambda finding: order.index(finding.check))
        return [self._line(finding) for finding in found]

    def _line(self, finding: Finding) -> str:
        more = self._more.get(finding.check, 0) if finding.state in (WRONG, UNSURE) else 0
        where = f"entry {finding.entry}: " if finding.entry else ""
        rest = f" (and {more} more)" if more else ""
        title = TITLES[finding.check]
        return f"{MARKS[finding.state]} {title:<24} {where}{finding.sentence}{rest}"

    def to_json(self) -> dict[str, Any]:
        """The verdict for machines."""
        return {
            "schema": "cloister-verdict/1",
            "ok": self.code == 0,
            "code": self.code,
            "findings": [finding._asdict() for finding in self.findings],
        }


# ==================================================================================================
# entries: part of cloister-verify
#
# The entries of a bundle: their one form, their digests, their order, their place in the tree.
# ==================================================================================================

GENESIS = "0" * 64


class Entries:
    """What could be read of a bundle's entries, by sequence number; what could not is a finding."""

    def __init__(self, rows: list[Any], verdict: Verdict, *, complete: bool) -> None:
        self.verdict, self.complete = verdict, complete
        self.bodies: dict[int, dict[str, Any]] = {}
        self.digests: dict[int, str] = {}
        self.leaves: dict[int, bytes] = {}
        self.roots: dict[int, bytes] = {0: sha256(b"")}
        last, previous, count = 0, GENESIS, len(rows)
        for place, row in enumerate(rows, start=1):
            last, previous = self._take(place, row, last, previous)
        if complete:
            self._grow()
        verdict.good("canonical", f"{count} entries, each in the one form of RFC 8785")
        verdict.good("digests", "each digest is that of the entry's body and the digest before it")
        whole = f"1 to {count} without a gap"
        verdict.good("sequence", whole if complete else f"{count} entries of a part, in order")

    def _take(self, place: int, row: Any, last: int, previous: str) -> tuple[int, str]:
        """One row after number `last` of digest `previous`; returns its own number and digest."""
        try:
            number = pick(row, "sequence", int)
            text = pick(row, "body", str)
        except Wrong as wrong:
            self.verdict.wrong("sequence", str(wrong), place)
            return last, ""
        with self._asking("sequence", number):
            if number <= last or (self.complete and number != place):
                raise Wrong(f"it stands at place {place}, after entry {last}")
        with self._asking("digests", number):
            self._check_digest(number, text, row, (last, previous))
        with self._asking("canonical", number):
            self.bodies[number] = _body(number, text)
        return max(number, last), self.digests.get(number, "")

    def _check_digest(self, number: int, text: str, row: Any, previous: tuple[int, str]) -> None:
        data = _bytes(text)
        self.leaves[number] = leaf_hash(data)
        before, digest = hexadecimal(row, "previous_digest"), hexadecimal(row, "digest")
        self.digests[number] = digest
        if digest != sha256(bytes.fromhex(before) + data).hex():
            raise Wrong("its digest is not SHA-256(previous digest ‖ body): it was changed")
        if number == previous[0] + 1 and before != previous[1]:
            raise Wrong("it does not follow the entry before it: something was changed or moved")

    @contextmanager
    def _asking(self, check: str, number: int) -> Iterator[None]:
        """One question about one entry: a wrong answer is a finding, not the end."""
        try:
            yield
        except Wrong as wrong:
            self.verdict.wrong(check, str(wrong), number)

    def _grow(self) -> None:
        """The root at every size: of what checkpoints and witnesses may name."""
        tree = Tree()
        for number in sorted(self.leaves):
            tree.add(self.leaves[number])
            self.roots[tree.size] = tree.root()
        self.verdict.good("tree", f"root {tree.root().hex()} over {tree.size} entries")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Wrong("its body holds half a character") from error


def _body(number: int, text: str) -> dict[str, Any]:
    try:
        body = parse(text)
    except Unreadable as error:
        raise Wrong(f"its body: {error}") from error
    if not isinstance(body, dict) or canonical(body) != text:
        raise Wrong("its body is not in canonical form")
    if body.get("sequence") != number:
        raise Wrong(f"its body says that it is entry {str(body.get('sequence'))[:20]}")
    return body


# ==================================================================================================
# signed: part of cloister-verify
#
# What was signed: the hub's checkpoints, the proofs between them, the sites' statements.
# ==================================================================================================

PLACE = ("study", "institution", "round", "attempt", "phase")
MESSAGE_CONTEXT = b"cloister-message-v1\n"


class Signed:
    """The checkpoints and statements of one bundle; `roots` are those that the hub's key signed."""

    def __init__(
        self, document: dict[str, Any], entries: Entries, key: str, verdict: Verdict
    ) -> None:
        self.document, self.entries, self.key, self.verdict = document, entries, key, verdict
        self.roots: dict[int, bytes] = {}
        self._hub: dict[tuple[str, ...], dict[str, Any]] = {}
        self._booked: set[str] = set()  # digests of rows of sites' journals

    def check_checkpoints(self) -> None:
        """Each signed by the hub, growing, over these entries; the last one covers them all."""
        last = -1
        for place, note in enumerate(self.document["checkpoints"], start=1):
            try:
                last = self._check_note(note, last)
            except Wrong as wrong:
                self.verdict.wrong("checkpoints", f"number {place}: {wrong}")
        needed = max(self.entries.leaves, default=0)
        if last < 0 or last < needed or (self.entries.complete and last != needed):
            self.verdict.wrong(
                "checkpoints", f"none is over all {needed} entries: the end is signed by nobody"
            )
        count = len(self.roots)
        self.verdict.good("checkpoints", f"{count} by the hub's key, the last over {last} entries")

    def _check_note(self, note: Any, last: int) -> int:
        size, root = pick(note, "size", int), bytes.fromhex(hexadecimal(note, "root"))
        if size <= last:
            raise Wrong(f"it follows one of {last} entries: the log went backwards")
        if pick(note, "key", str) != self.key:
            raise Wrong(f"it is by another key, {str(note['key'])[:16]}…")
        if pick(note, "origin", str) != f"cloister/{self.key[:16]}":
            raise Wrong("its origin is not that of the hub's key")
        check_signature(self.key, checkpoint_text(note), pick(note, "signature", str))
        self.roots[size] = root
        if self.entries.complete and self.entries.roots.get(size) != root:
            self.verdict.wrong("tree", f"the root signed over {size} entries is not that of these")
        return size

    def check_inclusion(self) -> None:
        """Of a part: each entry is in the tree of the last checkpoint."""
        size = max(self.roots, default=0)
        rows = self.document["entries"]
        for row in rows:
            number = row.get("sequence") if isinstance(row, dict) else None
            if number not in self.entries.leaves or isinstance(number, bool):
                continue
            try:
                check_inclusion(
                    self.entries.leaves[number],
                    number - 1,
                    size,
                    pick(row, "inclusion", list),
                    self.roots.get(size, b""),
                )
            except Wrong as wrong:
                self.verdict.wrong("tree", str(wrong), number)
        self.verdict.good("tree", f"{len(rows)} inclusion proofs lead to the root over {size}")

    def check_consistency(self) -> None:
        """Between neighbouring checkpoints: the later tree begins with the earlier one."""
        sizes = sorted(self.roots)
        proofs: dict[Any, Any] = {}
        for link in self.document["consistency"]:
            if isinstance(link, dict):
                proofs[str(link.get("from")), str(link.get("to"))] = link.get("proof")
        try:
            for old, new in zip(sizes, sizes[1:]):
                if (str(old), str(new)) not in proofs:
                    raise Wrong(f"there is no proof between {old} and {new} entries")
                proof = proofs.pop((str(old), str(new)))
                check_consistency(old, self.roots[old], new, self.roots[new], proof)
            if proofs:
                raise Wrong("there are proofs between checkpoints that are not there")
        except Wrong as wrong:
            self.verdict.wrong("consistency", str(wrong))
        links = max(len(sizes) - 1, 0)
        self.verdict.good("consistency", f"{links} proofs: each tree begins with the one before")

    def check_witnesses(self, pinned: Mapping[str, str]) -> None:
        """Each site's signed statement names a tree that these entries begin with."""
        rows, said = self.document["witnesses"], []
        for row in rows:
            who = str(row.get("institution"))[:80] if isinstance(row, dict) else "?"
            try:
                said.append(self._check_witness(row, pinned))
            except (Wrong, Unreadable) as wrong:
                self.verdict.wrong("witnesses", f"{who}: {wrong}")
            except MALFORMED as error:
                self.verdict.wrong("witnesses", f"{who}: it is malformed: {error!r:.200}")
        if not rows:
            self.verdict.skip("witnesses", "the bundle holds no site's statement")
        unpinned = {str(row.get("institution"))[:80] for row in rows if isinstance(row, dict)}
        unpinned -= set(pinned)
        if unpinned:
            names = ", ".join(sorted(unpinned))
            self.verdict.warn(
                "witnesses",
                f"the keys of {names} are taken from the bundle: ask, and give --site NAME=KEY",
            )
        self.verdict.good("witnesses", f"{'; '.join(said)}: each saw the beginning of this tree")

    def _check_witness(self, row: Any, pinned: Mapping[str, str]) -> str:
        who, key = pick(row, "institution", str), hexadecimal(row, "key")
        if pinned.get(who, key) != key:
            raise Wrong(f"it is signed by {key[:16]}…, not by the key you gave")
        statement = opened(pick(row, "envelope", str), key)
        if pick(statement, "type", str) != "statement" or pick(statement, "site", str) != who:
            raise Wrong("the envelope is no statement of this institution")
        held = pick(statement, "checkpoint", dict)
        size, root = pick(held, "size", int), bytes.fromhex(hexadecimal(held, "root"))
        check_journal(statement)
        self._reconcile(statement, who)
        known = self.entries.roots if self.entries.complete else self.roots
        if size not in known:
            if self.entries.complete:
                raise Wrong(f"it saw {size} entries, more than there are: the ledger was cut")
            return f"{who} ({size} entries, not comparable in a part)"
        if size and known[size] != root:
            raise Wrong(f"it saw another history: its root over {size} entries is {root.hex()}")
        return f"{who} ({size} entries)"

    def _index(self) -> None:
        for body in self.entries.bodies.values() if not self._hub else ():
            self._hub[tuple(str(body.get(name)) for name in (*PLACE, "kind"))] = body
            if body.get("kind") == "booked":
                self._booked.add(str(pick(body, "journal", dict).get("digest")))

    def _reconcile(self, statement: dict[str, Any], who: str) -> None:
        """What the site's own journal says of a place must not contradict the ledger."""
        self._index()
        for row in statement["entries"]:
            place = (str(row.get("study")), who, *(str(row.get(name)) for name in PLACE[2:]))
            reserved, released = (self._hub.get((*place, k), {}) for k in ("reserved", "released"))
            kind, text = row.get("kind"), row.get("event")
            if row["digest"] in self._booked:
                continue
            if kind == "charged" and self._uncounted(place):
                raise Wrong(f"its journal's entry {row['sequence']} charged what nothing counts")
            if kind == "charged" and reserved and parse(str(text)) != reserved.get("event"):
                raise Wrong(f"its journal charged another event than entry {reserved['sequence']}")
            digest = released.get("tensors_digest")
            if kind == "released" and released and row.get("tensors_digest") != digest:
                raise Wrong(
                    f"its journal released something else than entry {released['sequence']}"
                )

    def _uncounted(self, place: tuple[str, ...]) -> bool:
        """Whether the whole ledger has no reservation there that stands."""
        stands = (*place, "reserved") in self._hub and (*place, "aborted") not in self._hub
        return self.entries.complete and not stands


def opened(envelope: str, key: str) -> dict[str, Any]:
    """The message in a signed envelope. Raises Wrong."""
    try:
        outer = parse(envelope)
        if not isinstance(outer, dict) or set(outer) != {"key", "message", "signature"}:
            raise Wrong("the envelope has not its form")
        if outer["key"] != key or canonical(outer) != envelope:
            raise Wrong("the envelope names another key, or is not canonical")
        text = pick(outer, "message", str)
        check_signature(key, MESSAGE_CONTEXT + text.encode(), pick(outer, "signature", str))
        message = parse(text)
    except (Unreadable, UnicodeEncodeError) as error:
        raise Wrong(f"the envelope cannot be read: {error}") from error
    if not isinstance(message, dict):
        raise Wrong("the envelope holds no message")
    return message


def check_journal(statement: dict[str, Any]) -> None:
    """The site's own journal entries in a statement follow each other. Raises Wrong."""
    rows: list[Any] = pick(statement, "entries", list)
    before = None
    for row in rows:
        digest, number = hexadecimal(row, "digest"), pick(row, "sequence", int)
        body = canonical({name: row[name] for name in row if name != "digest"})
        if sha256(body.encode("utf-8", "replace")).hex() != digest:
            raise Wrong(f"entry {number} of the site's journal was changed")
        if before and (row.get("previous_digest") != before[1] or number != before[0] + 1):
            raise Wrong(f"entry {number} of the site's journal does not follow the one before it")
        before = (number, digest)


# ==================================================================================================
# lives: part of cloister-verify
#
# The life of each mechanism: what may follow what, under which key, and what it spends.
# ==================================================================================================

NEXT = {
    "nothing": ("reserved",),
    "reserved": ("charged", "lost", "refused", "aborted"),
    "charged": ("released", "lost", "refused", "aborted"),
    "released": ("acknowledged", "refused"),
    "acknowledged": (),
    "lost": (),
    "refused": (),
    "aborted": (),
}
LIVING = frozenset(kind for kinds in NEXT.values() for kind in kinds)

Place = tuple[str, str, int, int, str]  # study, institution, round, attempt, phase
Dataset = tuple[str, str]  # institution, lineage


class Life(NamedTuple):
    """The newest kind of row about one place, and its reservation."""

    state: str
    reservation: dict[str, Any]


class Spent:
    """Everything reserved and not given back, by study and dataset."""

    def __init__(self) -> None:
        self.steps: dict[tuple[str, str, str], dict[Price, int]] = {}

    def add(self, body: dict[str, Any], found: Event, sign: int) -> None:
        """Count an event of a row (sign 1), or give it back (−1)."""
        place = (body["study"], body["institution"], body["lineage"])
        steps = self.steps.setdefault(place, {})
        steps[found.price] = steps.get(found.price, 0) + sign * found.steps

    def study(self, study: str, institution: str) -> History:
        """What a study spent at an institution, of whatever dataset."""
        return _added([s for (a, i, _), s in self.steps.items() if (a, i) == (study, institution)])

    def dataset(self, place: Dataset) -> History:
        """What all studies together spent of a dataset."""
        return _added([s for (_, i, ln), s in self.steps.items() if (i, ln) == place])

    def studies(self, place: Dataset) -> set[str]:
        """The studies of which something of a dataset is spent now."""
        return {a for (a, i, ln), s in self.steps.items() if (i, ln) == place and any(s.values())}


def _added(parts: list[dict[Price, int]]) -> History:
    total: History = {}
    for part in parts:
        for price, steps in part.items():
            total[price] = total.get(price, 0) + steps
    return {price: steps for price, steps in total.items() if steps}


class Lives:
    """Follows each place through its rows."""

    def __init__(self) -> None:
        self.lives: dict[Place, Life] = {}
        self.spent = Spent()
        self.units: dict[Dataset, str] = {}
        self.counts: dict[str, int] = {}
        self.booked: list[Place] = []

    def step(self, body: dict[str, Any]) -> None:
        """Take one row about a place. Raises Wrong where it may not follow, but goes on."""
        place, kind = place_of(body), body["kind"]
        before = self.lives.get(place, Life("nothing", {}))
        reservation = body if kind == "reserved" else before.reservation
        self.lives[place] = Life(kind, reservation)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind in ("reserved", "aborted") and before.state != kind:
            self.spent.add(body, event(pick(body, "event", dict)), 1 if kind == "reserved" else -1)
        _check_move(before.state, kind, body)
        if kind == "aborted":
            _check_given_back(body, reservation)
        if kind in ("charged", "released") and body["lineage"] != reservation["lineage"]:
            raise Wrong(f"it is about the dataset {body['lineage']!r}, the reservation is not")

    def book(self, body: dict[str, Any]) -> None:
        """Count what a site's journal proves beside what the hub knew. Raises Wrong."""
        self.booked.append(place_of(body))
        if "event" in body:
            self.spent.add(body, event(pick(body, "event", dict)), 1)
        elif len(pick(body, "tensors_digest", str)) != 64:
            raise Wrong("it books neither a charge nor a release")

    def begun(self) -> set[Place]:
        """Where anything was ever reserved, or booked."""
        return {*self.lives, *self.booked}

    def keep_unit(self, body: dict[str, Any]) -> None:
        """One privacy unit for a dataset, as long as anything of it is spent. Raises Wrong."""
        place, found = (body["institution"], body["lineage"]), event(body["event"])
        before = self.units.get(place, found.unit)
        self.units[place] = found.unit
        alone = self.spent.dataset(place) == {found.price: found.steps}
        if before != found.unit and not alone:
            raise Wrong(f"it composes a cost per {found.unit} with costs per {before}")


def place_of(body: dict[str, Any]) -> Place:
    """What a row is about."""
    return body["study"], body["institution"], body["round"], body["attempt"], body["phase"]


def key_of(body: dict[str, Any]) -> str:
    """The idempotency key that a row about a place must have."""
    study, institution, number, attempt, phase = place_of(body)
    return f"{study}/{institution}/{number}.{attempt}/{phase}/{body['kind']}"


def _check_move(state: str, kind: str, body: dict[str, Any]) -> None:
    what = f"{body['phase']} of round {body['round']}.{body['attempt']} at {body['institution']}"
    if kind not in NEXT[state]:
        raise Wrong(f"{what} is {state} and cannot become {kind}")
    if (state, kind) == ("charged", "aborted") and len(str(body.get("evidence", ""))) != 64:
        raise Wrong(f"{what} was charged and is given back without the site's signed word")


def _check_given_back(body: dict[str, Any], reservation: dict[str, Any]) -> None:
    before = (reservation.get("event"), reservation.get("lineage"))
    if (body["event"], body["lineage"]) != before:
        raise Wrong("it gives back another event than was reserved")


# ==================================================================================================
# budgets: part of cloister-verify
#
# The budgets: what was lent for life, what studies committed of it, and that none was passed.
# ==================================================================================================

SLACK = 1e-6  # relative: a plan made for exactly its budget must not fail by a rounding
NOTHING = 1e-9  # nats

Sealing = tuple[str, str, str]  # study, institution, protocol digest


class Budget(NamedTuple):
    """A dataset's lifetime budget, and the Rényi order at which it is filtered."""

    epsilon: float
    delta: float
    cap: float
    order: float


class Plan(NamedTuple):
    """What a study sealed at an institution before its first round; committed until returned."""

    study: str
    dataset: Dataset
    unit: str
    steps: History
    epsilon: float
    delta: float
    order: float
    bound: float  # of a study whose noise is chosen on the way: its divergence at `order`; else 0

    @property
    def figure_of(self) -> History:
        """What the figure beside it is about: the plan, or all that the study's filter admits."""
        if not self.bound:
            return self.steps
        own = best_order(self.epsilon, self.delta)
        return {filling(admitted(self.epsilon, self.delta, own), own): 1}


class Question(NamedTuple):
    """A recorded check of a budget, and the history that it must have been about.

    `order` is None where nothing was chosen after a result was seen: then any accountant may
    judge. Otherwise it must be the Rényi filter at the order sealed with the budget.
    """

    check: dict[str, Any]
    history: History
    order: float | None


class Budgets:
    """Follows the rows that say how much may be spent."""

    def __init__(self, spent: Spent) -> None:
        self.spent = spent
        self.lifetime: dict[Dataset, Budget] = {}
        self.plans: dict[Sealing, Plan] = {}
        self.sealed = 0
        self._renyi = Renyi()
        self._written: dict[Dataset, int] = {}

    def key_of(self, body: dict[str, Any]) -> str:
        """The idempotency key that a row about a lifetime budget must have: they are counted."""
        number = self._written.get(_dataset(body), 0) + 1
        return f"/{body['institution']}/{body['lineage']}/declared/{number}"

    def declared(self, body: dict[str, Any]) -> None:
        """A lifetime budget as first lent, or lowered. Raises Wrong where it is raised."""
        before, after = self._replace(body)
        if before and (after.epsilon > before.epsilon or after.delta > before.delta):
            raise Wrong(f"it raises a lifetime budget of ε = {before.epsilon:g} on nobody's word")

    def raised(self, body: dict[str, Any]) -> None:
        """A lifetime budget that two people raised, for a reason. Raises Wrong."""
        before, after = self._replace(body)
        if before is None:
            raise Wrong("it raises a lifetime budget that was never declared")
        people = (pick(body, "proposed_by", str), pick(body, "approved_by", str))
        if not all(people) or people[0] == people[1]:
            raise Wrong("a raised budget needs two different people")
        if not pick(body, "reason", str).strip():
            raise Wrong("a raised budget needs a reason")
        if (decimal(body, "before"), after.delta) != (before.epsilon, before.delta):
            raise Wrong(f"it says that the budget was {body['before']}, it was {before.epsilon:g}")
        if after.epsilon <= before.epsilon or after.cap > before.cap:
            raise Wrong("it raises nothing, or it raises the site's own cap")

    def _replace(self, body: dict[str, Any]) -> tuple[Budget | None, Budget]:
        """The budget in force before and after this row. Raises Wrong where it cannot be."""
        place = _dataset(body)
        self._written[place] = self._written.get(place, 0) + 1
        before = self.lifetime.get(place)
        names = ("epsilon", "delta", "site_cap", "filter_order")
        after = Budget(*(decimal(body, name) for name in names))
        self.lifetime[place] = after
        if after.epsilon > after.cap:
            raise Wrong(f"it lends ε = {after.epsilon:g}, above the site's own cap {after.cap:g}")
        if before and after.order != before.order and self._users(place):
            raise Wrong(f"it changes the filter's order {before.order:g} while it is in use")
        return before, after

    def seal(self, body: dict[str, Any]) -> tuple[Plan, Question]:
        """A study's whole plan at one institution, committed beside all others. Raises Wrong."""
        limit, place = pick(body, "limit", dict), _dataset(body)
        plan = Plan(
            body["study"],
            place,
            pick(body, "unit", str),
            history(event(each) for each in pick(body, "plan", list)),
            decimal(limit, "epsilon"),
            decimal(limit, "delta"),
            decimal(body, "filter_order"),
            decimal(body, "bound") if "bound" in body else 0.0,
        )
        _check_whole(plan)
        alone = self._users(place) <= {plan.study} and not plan.bound
        self.plans[_sealing(body)] = plan
        self.sealed += 1
        checks = pick(body, "checks", list)
        if [pick(check, "scope", str) for check in checks] != ["dataset"]:
            raise Wrong("it was not checked against the dataset's budget")
        _check_passed(checks[0])
        return plan, Question(checks[0], self._demand(place, ""), None if alone else plan.order)

    def check_sealing(self, body: dict[str, Any], plan: Plan) -> None:
        """What only a complete bundle can show about a plan. Raises Wrong."""
        self._check_lifetime(body, body["checks"][0])
        if plan.order != self.lifetime[plan.dataset].order:
            raise Wrong(f"it was sealed under another order than {plan.order:g}")
        standing = (p.unit for p in self.plans.values() if p.dataset == plan.dataset)
        if any(unit != plan.unit for unit in standing):
            raise Wrong(f"it commits a cost per {plan.unit} beside costs per another unit")

    def give_back(self, body: dict[str, Any]) -> tuple[History, float, float]:
        """A plan is committed no longer: what is left of it, at which order, and what else."""
        plan = self.plans.pop(_sealing(body), None)
        if plan is None or plan.dataset != _dataset(body):
            raise Wrong("it returns a plan that is not committed")
        spent = self.spent.steps.get((plan.study, *plan.dataset), {})
        left = {price: n - spent.get(price, 0) for price, n in plan.steps.items()}
        left = {price: n for price, n in left.items() if n > 0}
        if history(event(each) for each in pick(body, "plan_left", list)) != left:
            raise Wrong("what it returns is not its plan less what was reserved")
        if decimal(body, "order") != plan.order:
            raise Wrong(f"it counts at another order than {plan.order:g}, at which it was sealed")
        more = plan.bound and max(0.0, plan.bound - self._renyi.at(spent, plan.order))
        return left, plan.order, more

    def questions(self, body: dict[str, Any], *, complete: bool) -> list[Question]:
        """The two checks that a reservation records. Raises Wrong where one was not passed."""
        place, study = _dataset(body), self.spent.study(body["study"], body["institution"])
        plan, sealed = self.plans.get(_sealing(body)), self.check_sealed(body)
        checks = pick(body, "checks", list)
        if [pick(check, "scope", str) for check in checks] != ["study", "dataset"]:
            raise Wrong("it was not checked against the study's and the dataset's budget")
        for check in checks:
            _check_passed(check)
        limit = (decimal(checks[0], "limit"), decimal(checks[0], "delta"))
        if plan is not None and limit != (plan.epsilon, plan.delta):
            raise Wrong(f"it was checked against ε = {limit[0]:g}, the sealed plan says otherwise")
        asked = [Question(checks[0], study, None if sealed else best_order(*limit))]
        if complete:
            self._check_lifetime(body, checks[1])
            alone = self.spent.studies(place) <= {body["study"]}
            order = None if sealed and alone else self.lifetime[place].order
            demand = self.spent.dataset(place) if sealed else self._demand(place, body["study"])
            asked.append(Question(checks[1], demand, order))
        return asked

    def check_sealed(self, body: dict[str, Any]) -> bool:
        """Whether all that the study spent is of its sealed plan, as the row says. Raises Wrong."""
        study = self.spent.study(body["study"], body["institution"])
        plan = self.plans.get(_sealing(body))
        sealed = plan is not None and _within(study, plan.steps)
        if pick(body, "sealed", bool) is not sealed:
            raise Wrong(f"it says sealed: {body['sealed']}, the sealed plan says {sealed}")
        return sealed

    def _demand(self, place: Dataset, without: str) -> History:
        """Spent and committed: of each study the larger of both, of `without` what it spent."""
        by_study = {
            study: {price: n for price, n in steps.items() if n > 0}
            for (study, *where), steps in self.spent.steps.items()
            if (*where,) == place
        }
        for plan in self.plans.values():
            if plan.dataset == place and plan.study != without:
                own = by_study.setdefault(plan.study, {})
                for price, steps in plan.steps.items():
                    own[price] = max(own.get(price, 0), steps)
        total: History = self._unchosen(by_study, place, without)
        for own in by_study.values():
            for price, steps in own.items():
                total[price] = total.get(price, 0) + steps
        return total

    def _unchosen(
        self, by_study: dict[str, History], place: Dataset, without: str
    ) -> dict[Price, int]:
        """What studies have committed whose noise is chosen on the way, and not spent yet."""
        rest: dict[Price, int] = {}
        for plan in self.plans.values():
            if plan.dataset == place and plan.study != without and plan.bound:
                left = plan.bound - self._renyi.at(by_study[plan.study], plan.order)
                if left > NOTHING:
                    price = filling(left, plan.order)
                    rest[price] = rest.get(price, 0) + 1
        return rest

    def _users(self, place: Dataset) -> set[str]:
        """The studies that spent anything of a dataset, or have committed a plan on it."""
        plans = {plan.study for plan in self.plans.values() if plan.dataset == place}
        return self.spent.studies(place) | plans

    def _check_lifetime(self, body: dict[str, Any], check: dict[str, Any]) -> None:
        budget = self.lifetime.get(_dataset(body))
        if budget is None:
            raise Wrong(f"no lifetime budget was declared for {body['lineage']} before it")
        if (decimal(check, "limit"), decimal(check, "delta")) != (budget.epsilon, budget.delta):
            raise Wrong(
                f"it was checked against ε = {check['limit']}, the lifetime budget was "
                f"{budget.epsilon:g}"
            )


def _check_passed(check: dict[str, Any]) -> None:
    if decimal(check, "epsilon") > decimal(check, "limit") * (1.0 + SLACK):
        raise Wrong(
            f"it passes the {check['scope']}'s budget: ε = {check['epsilon']} of {check['limit']}"
        )


def _check_whole(plan: Plan) -> None:
    if not plan.bound:
        return
    most = whole_budget(plan.epsilon, plan.delta, plan.order)
    if plan.steps or abs(plan.bound - most) > SLACK * most:
        raise Wrong("it does not commit what the study's own filter lets pass")


def _within(spent: History, plan: History) -> bool:
    return all(steps <= plan.get(price, 0) for price, steps in spent.items())


def _dataset(body: dict[str, Any]) -> Dataset:
    return body["institution"], body["lineage"]


def _sealing(body: dict[str, Any]) -> Sealing:
    return body["study"], body["institution"], pick(body, "protocol_digest", str)


# ==================================================================================================
# audits: part of cloister-verify
#
# Empirical audits: coins bound before training, shown after it, and the lower bound they prove.
#
# The bound is that of Steinke, Nasr and Jagielski 2023 (arXiv 2305.08846, theorem 5.2). How many
# guesses were right cannot be seen from a ledger; everything that follows from it can.
# ==================================================================================================

MOST_CANARIES = 100_000
LARGEST_BOUND, WALK, HALVINGS = 64.0, 0.125, 30
SHARES, FEWEST_GUESSES = (1, 2, 4), 6
BOUND_TOLERANCE = 1e-6

AuditPlace = tuple[str, str, str]  # study, institution, protocol digest


class Audits:
    """The commitments so far."""

    def __init__(self) -> None:
        self.bound: dict[AuditPlace, str] = {}
        self._revealed: dict[AuditPlace, int] = {}

    def commit(self, body: dict[str, Any], *, began: bool) -> None:
        """Coins are bound; `began`: training was reserved before. Raises Wrong."""
        place = _audited(body)
        if began:
            raise Wrong("it binds coins after training was reserved, which binds nothing")
        if place in self.bound:
            raise Wrong("it binds coins a second time")
        self.bound[place] = hexadecimal(body, "commitment")

    def reveal(self, body: dict[str, Any]) -> dict[str, Any]:
        """Coins are shown; returns the figure of ε that stands beside the bound. Raises Wrong."""
        place = _audited(body)
        if place in self._revealed:
            raise Wrong("it shows coins a second time")
        self._revealed[place] = 0
        coins, salt = pick(body, "coins", str), bytes.fromhex(hexadecimal(body, "salt"))
        if not coins or set(coins) - {"0", "1"} or len(coins) > MOST_CANARIES:
            raise Wrong("its coins are no text of 0 and 1")
        said = hexadecimal(body, "commitment")
        if hashlib.sha256(salt + coins.encode("ascii")).hexdigest() != said:
            raise Wrong("the coins that it shows are not those that were bound")
        if self.bound.get(place) != said:
            raise Wrong("nobody was bound to these coins before training")
        result = pick(body, "result", dict)
        self._revealed[place] = len(coins)
        _check_bound(result, len(coins))
        figure: dict[str, Any] = pick(result, "figure", dict)
        return figure

    def together(
        self, body: dict[str, Any], *, complete: bool
    ) -> tuple[list[str], dict[str, Any]] | None:
        """Coins of several institutions as one: who they are, and the figure beside the bound.

        None where a part of the ledger does not hold all of them. Raises Wrong.

        Each coin moves one institution's rows alone, so the largest of their ε holds for all.
        """
        study, _, digest = place = _audited(body)
        houses = pick(body, "institutions", list)
        if place in self._revealed:
            raise Wrong("it shows coins a second time")
        counts = [self._revealed.get((study, str(house), digest), 0) for house in houses]
        if not complete and not all(counts):
            return None
        self._revealed[place] = sum(counts)
        if len(counts) < 2 or len(set(map(str, houses))) != len(counts) or not all(counts):
            raise Wrong("it counts together what two institutions or more have not shown")
        result = pick(body, "result", dict)
        _check_bound(result, sum(counts))
        return houses, pick(result, "figure", dict)


def _audited(body: dict[str, Any]) -> AuditPlace:
    return body["study"], body["institution"], pick(body, "protocol_digest", str)


def _check_bound(result: dict[str, Any], coins: int) -> None:
    canaries, guesses = pick(result, "canaries", int), pick(result, "guesses", int)
    correct, confidence = pick(result, "correct", int), decimal(result, "confidence")
    counts = [2 * (canaries // share // 2) for share in SHARES]
    counts = [count for count in counts if count >= FEWEST_GUESSES]
    if canaries != coins or guesses not in counts or pick(result, "tried", int) != len(counts):
        raise Wrong("its numbers of canaries and guesses are not those of its coins")
    if not (0 <= correct <= guesses and 0.0 < confidence < 1.0):
        raise Wrong("its number of right guesses or its confidence is impossible")
    level = (1.0 - confidence) / len(counts)
    delta = decimal(pick(result, "figure", dict), "delta")
    proved = proved_bound(canaries, guesses, correct, delta, level)
    said = decimal(result, "lower")
    if abs(said - proved) > BOUND_TOLERANCE * max(1.0, proved):
        raise Wrong(
            f"it says ε ≥ {said:.6g}, but {correct} right of {guesses} guesses prove {proved:.6g}"
        )


def proved_bound(canaries: int, guesses: int, correct: int, delta: float, level: float) -> float:
    """The largest ε such that it and all smaller ones have a p-value below `level`."""

    def rejected(epsilon: float) -> bool:
        return p_value(canaries, guesses, correct, epsilon, delta) < level

    if not rejected(0.0):
        return 0.0
    low = 0.0
    while low < LARGEST_BOUND and rejected(low + WALK):
        low += WALK
    high = low + WALK
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """The chance of so many right guesses under (ε, δ), at most."""
    if correct == 0:
        return 1.0
    right, wrong = -math.log1p(math.exp(-epsilon)), -epsilon - math.log1p(math.exp(-epsilon))
    masses = [
        math.exp(
            math.lgamma(guesses + 1)
            - math.lgamma(count + 1)
            - math.lgamma(guesses - count + 1)
            + count * right
            + (guesses - count) * wrong
        )
        for count in range(guesses + 1)
    ]
    below, most = 0.0, 0.0
    for steps in range(1, correct + 1):
        below += masses[correct - steps]
        most = max(most, below / steps)
    return min(1.0, math.fsum(masses[correct:]) + 2.0 * canaries * delta * most)


# ==================================================================================================
# choices: part of cloister-verify
#
# Adaptive schedules: a round's noise is chosen before the round, by its rule, and then kept to.
# ==================================================================================================

TRAINING = "train"  # the phase whose noise is chosen
RISEN = 0.01  # by how much a metric must have risen to count as better

Chooser = tuple[str, str]  # study, protocol digest


class Choices:
    """The choices so far, and the studies' own budgets."""

    def __init__(self) -> None:
        self.noise: dict[tuple[Chooser, int, int], float] = {}
        self._choosers: set[Chooser] = set()
        self._limits: dict[Chooser, tuple[float, float]] = {}

    def sealed(self, body: dict[str, Any]) -> None:
        """A plan names the study's budget, from which its filter's order follows."""
        limit = pick(body, "limit", dict)
        self._limits[_chooser(body)] = (decimal(limit, "epsilon"), decimal(limit, "delta"))

    def propose(self, body: dict[str, Any], *, began: bool) -> None:
        """The noise of a round; `began`: it was reserved before. Raises Wrong."""
        chooser = _chooser(body)
        place = (chooser, body["round"], body["attempt"])
        noise, second = decimal(body, "noise_multiplier"), place in self.noise
        self.noise[place] = noise
        self._choosers.add(chooser)
        if began:
            raise Wrong("it chooses the noise of a round that was reserved before it")
        if second:
            raise Wrong("it chooses the noise of a round a second time")
        for name, fits in (("least_noise", float.__le__), ("most_noise", float.__ge__)):
            if name in body and not fits(decimal(body, name), noise):
                raise Wrong(f"it chooses {noise:g}, the protocol's {name} is {body[name]}")
        _check_rule(body)
        limit = self._limits.get(chooser)
        if limit and decimal(body, "filter_order") != best_order(*limit):
            raise Wrong(f"its study is not filtered at the order {body['filter_order']}")

    def reserve(self, body: dict[str, Any]) -> None:
        """A reservation keeps to what was chosen for its round. Raises Wrong."""
        chooser = _chooser(body)
        if body["phase"] != TRAINING or chooser not in self._choosers:
            return
        chosen = self.noise.get((chooser, body["round"], body["attempt"]))
        if chosen is None:
            raise Wrong("nobody chose its noise before it, and its study is adaptive")
        noise = event(pick(body, "event", dict)).price[0]
        if noise != chosen:
            raise Wrong(f"its noise is {noise:g}, but {chosen:g} was chosen")


def _chooser(body: dict[str, Any]) -> Chooser:
    return body["study"], pick(body, "protocol_digest", str)


def _check_rule(body: dict[str, Any]) -> None:
    """What the rule must be after the released values that the row names."""
    values = [float(value) for value in pick(body, "values", list)]
    if not all(math.isfinite(value) for value in values):
        raise Wrong("a released value is no finite number")
    rule = "even"
    if len(values) > 1:
        rule = "save" if values[-1] >= max(values[:-1]) + RISEN else "spend"
    if pick(body, "rule", str) not in (rule, "last"):
        raise Wrong(f"it chose by the rule {body['rule']!r}, its values say {rule!r}")


# ==================================================================================================
# replay: part of cloister-verify
#
# The ledger played again from nothing: every row against the rows before it.
# ==================================================================================================

VERSION = 1
TYPES = {
    "sequence": int,
    "at": str,
    "kind": str,
    "idempotency_key": str,
    "study": str,
    "institution": str,
    "lineage": str,
    "round": int,
    "attempt": int,
    "phase": str,
}


class Loss(NamedTuple):
    """What the newest reservation says that a study spent at one institution."""

    entry: int
    epsilon: str
    delta: str
    accountant: str


class Replay:
    """Judges rows one by one; each kind of question goes on after another one failed."""

    def __init__(self, verdict: Verdict, *, complete: bool) -> None:
        self.verdict, self.complete = verdict, complete
        self.lives, self.figures, self.audits = Lives(), Figures(), Audits()
        self.budgets, self.choices = Budgets(self.lives.spent), Choices()
        self.losses: dict[tuple[str, str], Loss] = {}
        self.attestations: dict[str, bool] = {}
        self._keys: dict[str, int] = {}
        self._number = 0
        self._kinds: dict[str, Callable[[dict[str, Any]], None]] = {
            "declared": self._declared,
            "raised": self._raised,
            "sealed": self._sealed,
            "returned": self._returned,
            "attested": self._attested,
            "committed": self._committed,
            "revealed": self._revealed,
            "proposed": self._proposed,
            "booked": self._booked,
        }

    def step(self, number: int, body: dict[str, Any]) -> None:
        """Take the row `number`. Raises Unknown where it is of a newer kind."""
        self._number = number
        if body.get("version") != VERSION:
            raise Unknown(f"version {body.get('version')!r} of entry {number}")
        with self._asking("canonical"):
            for name, kind in TYPES.items():
                pick(body, name, kind)
        if self.verdict.states("canonical") & {"wrong"}:
            return
        if body["kind"] not in self._kinds and body["kind"] not in LIVING:
            raise Unknown(f"the kind {body['kind']!r} of entry {number}")
        with self._asking("idempotency"):
            self._check_key(body)
        self._kinds.get(body["kind"], self._lived)(body)

    def _check_key(self, body: dict[str, Any]) -> None:
        key = body["idempotency_key"]
        before = self._keys.setdefault(key, self._number)
        if before != self._number:
            raise Wrong(f"its key {key} stands at entry {before} already")
        expected = self._expected_key(body)
        if expected and key != expected:
            raise Wrong(f"its key is {key}, it should be {expected}")

    def _expected_key(self, body: dict[str, Any]) -> str:
        """Empty where a part of the ledger cannot tell, or the key has no form of its own."""
        kind = body["kind"]
        if kind in LIVING:
            return key_of(body)
        if kind == "proposed":
            digest = pick(body, "protocol_digest", str)
            return f"{body['study']}//proposed/{body['round']}.{body['attempt']}/{digest}"
        if kind == "booked":
            return f"{key_of(body)}/{hexadecimal(pick(body, 'journal', dict), 'digest')}"
        if kind in ("declared", "raised"):
            return self.budgets.key_of(body) if self.complete else ""
        if kind not in ("sealed", "returned", "attested", "committed", "revealed"):
            return ""
        digest = pick(body, "protocol_digest", str)
        key = f"{body['study']}/{body['institution']}/{kind}/{digest}"
        if kind != "attested":
            return key
        number = sum(each.split("/attested/")[0] == f"{body['study']}/" for each in self._keys)
        return "" if number > 1 or not self.complete else key

    def _declared(self, body: dict[str, Any]) -> None:
        with self._asking("budgets"):
            self.budgets.declared(body)

    def _raised(self, body: dict[str, Any]) -> None:
        with self._asking("budgets"):
            self.budgets.raised(body)

    def _sealed(self, body: dict[str, Any]) -> None:
        with self._asking("choices"):
            self.choices.sealed(body)
        with self._asking("budgets"):
            plan, question = self.budgets.seal(body)
            with self._asking("epsilon"):
                self.figures.check(pick(body, "figure", dict), plan.figure_of)
            if self.complete:
                self.budgets.check_sealing(body, plan)
                with self._asking("epsilon"):
                    self.figures.check(*question)

    def _returned(self, body: dict[str, Any]) -> None:
        with self._asking("budgets"):
            self.figures.check_divergence(body, *self.budgets.give_back(body))

    def _attested(self, body: dict[str, Any]) -> None:
        """Somebody answers for it that no patient is at two institutions, or takes that back."""
        with self._asking("attested"):
            study = f"{body['study']}/{pick(body, 'protocol_digest', str)}"
            withdrawn = bool(body.get("withdrawn", False))
            if not (body["study"] and pick(body, "text", str) and pick(body, "by", str)):
                raise Wrong("an attestation names its study, its words and who answers for it")
            if self.complete and withdrawn is not self.attestations.get(study, False):
                raise Wrong("it attests what is attested, or withdraws what is not")
            self.attestations[study] = not withdrawn

    def _committed(self, body: dict[str, Any]) -> None:
        place = (body["study"], body["institution"])
        with self._asking("audits"):
            self.audits.commit(body, began=any(life[:2] == place for life in self.lives.begun()))

    def _revealed(self, body: dict[str, Any]) -> None:
        with self._asking("audits"):
            if body["institution"]:
                self._beside([body["institution"]], self.audits.reveal(body), body["study"])
            elif found := self.audits.together(body, complete=self.complete):
                self._beside(*found, body["study"])

    def _beside(self, houses: list[str], figure: dict[str, Any], study: str) -> None:
        """The largest ε of these institutions stands beside what their coins show."""
        spent = [self.lives.spent.study(study, house) for house in houses]
        with self._asking("epsilon"):
            self.figures.check_largest(figure, spent)

    def _proposed(self, body: dict[str, Any]) -> None:
        place = (body["study"], body["round"], body["attempt"])
        began = any((life[0], life[2], life[3]) == place for life in self.lives.begun())
        with self._asking("choices"):
            self.choices.propose(body, began=began)

    def _lived(self, body: dict[str, Any]) -> None:
        with self._asking("transitions"):
            self.lives.step(body)
        for name in ("tensors_digest", "model_digest"):
            with self._asking("canonical"):
                if name in body:
                    hexadecimal(body, name)
        if body["kind"] == "reserved":
            self._reserved(body)

    def _booked(self, body: dict[str, Any]) -> None:
        """What only a site's signed journal proves: it counts, whatever any budget says."""
        with self._asking("charges"):
            hexadecimal(body, "evidence")
            self.lives.book(body)
        with self._asking("epsilon"):
            self._compare(body, self.lives.spent.study(body["study"], body["institution"]))
        with self._asking("budgets"):
            if "event" in body:
                self.lives.keep_unit(body)
                self.budgets.check_sealed(body)

    def _reserved(self, body: dict[str, Any]) -> None:
        with self._asking("choices"):
            self.choices.reserve(body)
        with self._asking("epsilon"):
            self._compare(body, self.lives.spent.study(body["study"], body["institution"]))
        with self._asking("budgets"):
            self.lives.keep_unit(body)
            for question in self.budgets.questions(body, complete=self.complete):
                with self._asking("epsilon"):
                    self.figures.check(*question)

    def _compare(self, body: dict[str, Any], study: dict[Any, int]) -> None:
        figure = pick(body, "figure", dict)
        self.figures.check(figure, study)
        self.losses[body["study"], body["institution"]] = Loss(
            self._number, figure["epsilon"], figure["delta"], figure["accountant"]
        )

    @contextmanager
    def _asking(self, check: str) -> Iterator[None]:
        """One question about the present row: a wrong answer is a finding, not the end."""
        try:
            yield
        except Wrong as wrong:
            self.verdict.wrong(check, str(wrong), self._number)
        except MALFORMED as error:
            self.verdict.wrong(check, f"it is malformed: {error!r:.200}", self._number)
        except TooLarge as error:
            self.verdict.unsure(check, f"cannot be derived again: {error}", self._number)

    def finish(self) -> None:
        """Say what held."""
        counts = self.lives.counts
        lives = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "none"
        self.verdict.good("transitions", f"every life is one that may be: {lives}")
        self.verdict.good("idempotency", f"{len(self._keys)} keys, each once and of its form")
        self._finish_charges(counts)
        if self.attestations:
            self.verdict.good("attested", "each names who answers for it, and stands once")
        if self.audits.bound:
            count = len(self.audits.bound)
            self.verdict.good("audits", f"{count} bound before training; what was shown is that")
        if self.choices.noise:
            count = len(self.choices.noise)
            self.verdict.good("choices", f"{count} made before their rounds, and kept to")
        if self.complete:
            sealed, lent = self.budgets.sealed, len(self.budgets.lifetime)
            passed = (
                "passed by nothing but what was booked" if self.lives.booked else "never passed"
            )
            self.verdict.good(
                "budgets", f"{lent} lifetime budgets and {sealed} sealed plans, {passed}"
            )
        elif not self.verdict.states("budgets"):
            self.verdict.skip(
                "budgets", "lifetime budgets need the complete bundle; studies' own limits hold"
            )
        self.verdict.good(
            "epsilon", f"{self.figures.checked} figures derived again from the events"
        )

    def _finish_charges(self, counts: dict[str, int]) -> None:
        charged, released = counts.get("charged", 0), counts.get("released", 0)
        if self.verdict.states("transitions") & {"wrong"} or released > charged:
            self.verdict.wrong(
                "charges", f"{released} releases, {charged} charges: see transitions"
            )
        else:
            booked = len(self.lives.booked)
            more = f"; {booked} rows booked from sites' journals" if booked else ""
            self.verdict.good(
                "charges", f"{charged} charges, {released} releases, none before its{more}"
            )


# ==================================================================================================
# scopes: part of cloister-verify
#
# What a report is about: the entries that its scope covers, judged by the entries themselves.
# ==================================================================================================

AUDITED = ("committed", "revealed")
NARROWING = ("study", "institution", "lineage", "unit", "from", "to")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Scope:
    """The scope of one report. Raises Wrong where it is none, or not that of the report's study.

    `told` is all up to its head, `rows` what it must tell of, oldest first. A period is that of
    reservations: what became of one may be told as long as the period did not end before. Days are
    those of UTC. `audits` are the rows of empirical audits that it must tell of.
    """

    def __init__(self, document: Any, entries: Entries, head: int) -> None:
        scope = pick(document["report"], "scope", dict)
        self._wanted = {n: pick(scope, n, str) if n in scope else "" for n in NARROWING}
        if not all(DAY.fullmatch(self._wanted[name] or "0000-00-00") for name in ("from", "to")):
            raise Wrong("the period that it is about is none")
        self.study = str((document["report"].get("study") or {}).get("slug", ""))
        if self.study != self._wanted["study"]:
            raise Wrong("the study that it names is not that of its scope")
        self.told = [body for number, body in sorted(entries.bodies.items()) if number <= head]
        self._reserved = {place_of(b): b for b in self.told if b.get("kind") == "reserved"}
        self.rows = [body for body in self.told if self._covers(body)]
        self.audits = [b for b in self.told if b.get("kind") in AUDITED and self._has_audit(b)]

    @property
    def is_period(self) -> bool:
        """Whether a part of the time is left out."""
        return bool(self._wanted["from"] or self._wanted["to"])

    def _covers(self, body: dict[str, Any]) -> bool:
        living = body.get("kind") in LIVING
        begun = self._reserved.get(place_of(body), body) if living else body
        last = self._wanted["to"]
        return (
            self._is_at(body)
            and (not last or _day(body) <= last)
            and _day(begun) >= self._wanted["from"]
            and self._wanted["unit"] in ("", _unit(begun))
        )

    def _has_audit(self, body: dict[str, Any]) -> bool:
        """An audit is about a whole study, whichever period or unit a report tells of it."""
        last = self._wanted["to"]
        of_all = bool(self.study) and not body["institution"]
        return (not last or _day(body) <= last) and self._is_at(body, of_all=of_all)

    def _is_at(self, body: dict[str, Any], *, of_all: bool = False) -> bool:
        names = ("study",) if of_all else ("study", "institution", "lineage")
        return all(self._wanted[n] in ("", body.get(n, "")) for n in names)


def _day(body: dict[str, Any]) -> str:
    """Its day in UTC, in which every entry is written."""
    return pick(body, "at", str)[:10]


def _unit(body: dict[str, Any]) -> str:
    return str(body["event"].get("unit", "row") if "event" in body else body.get("unit", ""))


# ==================================================================================================
# sections: part of cloister-verify
#
# What a report must not leave out beside its figures: empirical audits, and what went wrong.
# ==================================================================================================

BOUND = re.compile(r"ε ≥ (\d+\.\d+) at δ = \S+ (below|above) the ledger's ε = (\d+\.\d+) at that δ")
MEASURED = ("method", "canaries", "guesses", "correct", "confidence", "lower")
WENT_WRONG = ("lost", "refused", "aborted")
THOUSANDTH = 1e-3 + 1e-9  # bounds for people have three places

Body = dict[str, Any]


def check_audits(section: Any, about: Scope) -> None:
    """Each run of which coins were bound is told, as the ledger has it. Raises Wrong."""
    runs = {row["committed"]["entry"]: row for row in pick(section, "runs", list)}
    together = {row["revealed"]["entry"]: row for row in section.get("together", [])}
    shown = {_audited_place(b): b for b in about.audits if b["kind"] == "revealed"}
    bound = [body for body in about.audits if body["kind"] == "committed"]
    as_one = [body for body in shown.values() if "institutions" in body]
    for body, told in [*((b, runs) for b in bound), *((b, together) for b in as_one)]:
        if body["sequence"] not in told:
            raise Wrong(f"it leaves out the audit of entry {body['sequence']}")
    if len(runs) > len(bound) or len(together) > len(as_one):
        raise Wrong("it tells of an audit that the ledger does not hold")
    for body in bound:
        _check_run(runs[body["sequence"]], body, shown.get(_audited_place(body)))
    for body in as_one:
        _check_same(together[body["sequence"]], body, ("study", "institutions"))
        _check_measured(together[body["sequence"]], body)


def _audited_place(body: Body) -> tuple[str, str, str]:
    return body["study"], body["institution"], body["protocol_digest"]


def _check_run(row: Any, committed: Body, revealed: Body | None) -> None:
    _check_same(row, committed, ("study", "institution", "commitment"))
    if revealed is not None:
        if (row.get("revealed") or {}).get("entry") != revealed["sequence"]:
            raise Wrong(f"it leaves out that entry {revealed['sequence']} showed the coins")
        _check_measured(row, revealed)
    elif row.get("revealed") is not None or BOUND.search(pick(row, "result", str)):
        raise Wrong(f"it tells what the coins of entry {committed['sequence']} showed: nothing yet")


def _check_measured(row: Any, revealed: Body) -> None:
    """The numbers are the ledger's, and the sentence says which of them is the larger."""
    found, number = revealed["result"], revealed["sequence"]
    told = {**found, **{name: found["figure"][name] for name in ("delta", "epsilon")}}
    _check_same(row, {**told, "sequence": number}, (*MEASURED, "delta", "epsilon"))
    lower, epsilon = decimal(row, "lower"), decimal(row, "epsilon")
    said = BOUND.findall(pick(row, "result", str).replace(",", ""))
    refuted = row["result"].startswith("REFUTED: ")
    if len(said) != 1 or refuted != (lower > epsilon) or (said[0][1] == "above") != refuted:
        raise Wrong(f"it says otherwise than entry {number} what its audit came to")
    if not 0.0 <= lower - float(said[0][0]) <= THOUSANDTH:
        raise Wrong(f"of the audit of entry {number} it shows ε ≥ {said[0][0]}, not {lower:g}")
    if not 0.0 <= float(said[0][2]) - epsilon <= THOUSANDTH:
        raise Wrong(f"of the audit of entry {number} it shows ε = {said[0][2]}, not {epsilon:g}")


def _check_same(row: Any, body: Body, names: tuple[str, ...]) -> None:
    for name in names:
        if row.get(name) != body[name]:
            said = f"{str(row.get(name))[:80]}, not {str(body[name])[:80]}"
            raise Wrong(f"of the audit of entry {body['sequence']} it says {name} = {said}")


def check_incidents(section: list[Any], about: Scope) -> None:
    """Everything lost, refused, returned, booked or tried again is told, and why. Raises Wrong."""
    told = {(row.get("source"), row.get("reason")) for row in section}
    for body in about.rows:
        number, wrong = body["sequence"], body["kind"] in WENT_WRONG
        booked = body["kind"] == "booked" and "event" in body
        again = body["kind"] == "reserved" and body["attempt"] > 1
        reason = body.get("reason", "") if wrong or booked else ""
        if (wrong or booked or again) and (f"ledger entry {number}", reason) not in told:
            raise Wrong(f"among what went wrong it leaves out entry {number}, or why it did")


# ==================================================================================================
# claimed: part of cloister-verify
#
# What a report claims: of each part, of all parts together, and in its sentences.
#
# A history whose parameters were sealed may be claimed by what it cost. One that went beyond its
# plan, and a dataset that several studies used, was kept by a Rényi filter: of that the bound is
# claimed which the filter let pass at most, never the sum so far. Over several studies that no
# filter joins nothing is claimed of all together: a later plan may follow from earlier results.
# ==================================================================================================

ONE, ALL = "if_no_person_is_at_two", "if_a_person_may_be_at_all"
QUOTED = re.compile(r"\(ε = (\S+), δ = (\S+)\), by the (\S+) accountant")
ODOMETER = "odometer: the later plans may have been chosen after earlier results"
UNIT_WORDS = {"row": "one row of data", "patient": "one patient"}
CLOSE = 1e-6  # relative: bounds are formulas, with no grid

Told = list[tuple[dict[str, Any], Event]]  # reservations that count, with their events


class Claimed(NamedTuple):
    """A part as the claims see it: what was done, and what its filter let pass at most."""

    key: str
    unit: str
    spent: History
    order: float | None
    divergence: float
    studies: frozenset[str]


class Claims:
    """Judges the claims of one report against the entries up to its head."""

    def __init__(self, document: Any, entries: Entries, figures: Figures, about: Scope) -> None:
        self.document, self.figures, self.about = document, figures, about
        self.study = about.study
        self.rows = about.told
        self.entries = entries
        self.parts: dict[str, Claimed] = {}

    def part(self, part: Any, told: Told) -> None:
        """What is claimed of one part, and that it is no sum so far. Raises Wrong."""
        where, lineage = pick(part, "institution", str), pick(part, "lineage", str)
        figure, spent = pick(part, "claimed", dict), history(found for _, found in told)
        unit = str(part.get("unit"))
        if {found.unit for _, found in told} - {unit}:
            raise Wrong(f"of {where} it claims a cost per {unit}, its events cost another unit")
        _check_told(figure, unit if spent else figure.get("unit"), where)
        order = sealed_order(figure)
        if order is None and spent and self._chose(where, lineage):
            raise Wrong(f"of {where} it claims a sum, though it was chosen on the way")
        most = 0.0
        if order is None:
            self.figures.check(figure, spent)
        elif spent:
            if order not in self._orders(where, lineage):
                raise Wrong(f"of {where} it names the order {order:g}, at which nothing was kept")
            most = self._bound(where, lineage, told, order)
            self._check_bound(figure, most, order, f"of {where}")
        key = where if self.study else f"{where}/{lineage}"
        studies = frozenset(body["study"] for body, _ in told)
        self.parts[key] = Claimed(key, unit, spent, order, most, studies)

    def across(self) -> None:
        """The groups of all parts, and the sentences that quote them. Raises Wrong."""
        groups = pick(pick(self.document, "parameters", dict), "across_institutions", list)
        grouped = [key for group in groups for key in pick(group, "parts", list)]
        units = [pick(group, "unit", str) for group in groups]
        if len(set(grouped)) < len(grouped) or len(set(units)) < len(units):
            raise Wrong("it composes not all parts of one unit, or one of them twice")
        missing = [key for key, part in self.parts.items() if part.spent and key not in grouped]
        if missing:
            raise Wrong(f"it claims nothing of {missing[0]}, which spent something")
        for group in groups:
            self._group(group)
        self._statements(groups)

    def _statements(self, groups: list[Any]) -> None:
        rows = pick(self.document, "statement", list)
        claims = [group[group["claimed"]] for group in groups]
        if [row.get("figure") for row in rows] != (claims or [None]):
            raise Wrong("its statements do not quote what it claims of each privacy unit")
        for row, group in zip(rows, groups):
            self._check_sentence(pick(row, "sentence", str), group)

    def _check_sentence(self, said: str, group: Any) -> None:
        """One figure, with its own terms, about this unit and these parts. Raises Wrong."""
        claim, one = group[group["claimed"]], group["claimed"] == ONE
        promise = "nothing is promised" if group.get("odometer") else "by no more than"
        quoted = [(claim["shown"], claim["delta"], str(claim["accountant"]).upper())]
        unit = UNIT_WORDS.get(group["unit"], f"one {group['unit']}")
        words = ["at one institution" if one else f" at all {len(group['parts'])} ", promise]
        words += [" in this period "] if self.about.is_period else []
        if one and isinstance(group["attested_by"], list) and len(group["parts"]) > 1:
            words.append(f"as {group['attested_by'][-1]['name']} attests")
        if QUOTED.findall(said) != quoted or said.count("ε = ") != 1:
            raise Wrong("its statement does not quote its own figure")
        if not said.startswith(f"For {unit}") or not all(each in said for each in words):
            raise Wrong("its statement is about something else than its figure")

    def _chose(self, where: str, lineage: str) -> bool:
        """Whether anything went beyond its plan, or several studies used the dataset, ever."""
        counts = [body for body in self._counted() if body["institution"] == where]
        studies = (
            {self.study} if self.study else {b["study"] for b in counts if b["lineage"] == lineage}
        )
        return len(studies) > 1 or not all(self._within(study, where) for study in studies)

    def _counted(self) -> list[dict[str, Any]]:
        """Every row that spent something, whether or not a period leaves it out."""
        gone = {place_of(body) for body in self.rows if body["kind"] == "aborted"}
        found = [b for b in self.rows if b["kind"] in ("reserved", "booked") and "event" in b]
        return [b for b in found if b["kind"] == "booked" or place_of(b) not in gone]

    def _within(self, study: str, where: str) -> bool:
        """Whether all that a study spent at an institution is a part of a plan that it sealed."""
        mine = [b for b in self.rows if (b.get("study"), b.get("institution")) == (study, where)]
        counts = [b for b in self._counted() if (b["study"], b["institution"]) == (study, where)]
        spent = history(event(body["event"]) for body in counts)
        plans = [history(map(event, b["plan"])) for b in mine if b["kind"] == "sealed"]
        return any(all(n <= plan.get(p, 0) for p, n in spent.items()) for plan in plans)

    def _bound(self, where: str, lineage: str, told: Told, order: float) -> float:
        """The largest divergence that the filter ever let pass: by each limit it had."""
        place = 0 if self.study else 1
        limits = [body["checks"][place] for body, _ in told if body["kind"] == "reserved"]
        if not self.study:
            last = self._declared(where, lineage)[-1:]
            limits += [{"limit": b["epsilon"], "delta": b["delta"]} for b in last]
        spent = self.figures.divergence(history(found for _, found in told), order)
        most = [_divergence(decimal(c, "limit"), decimal(c, "delta"), order) for c in limits]
        return max([spent, *most])

    def _orders(self, where: str, lineage: str) -> set[float]:
        """The orders that a part's filter had: declared with its dataset, or of its limits."""
        declared = [] if self.study else self._declared(where, lineage)
        if declared:
            return {decimal(body, "filter_order") for body in declared}
        place, study = (0, self.study) if self.study else (1, None)
        mine = [b for b in self.rows if b.get("institution") == where]
        mine = [b for b in mine if study == b["study"] or (not study and b["lineage"] == lineage)]
        checks = [b["checks"][place] for b in mine if b["kind"] == "reserved"]
        limits = [(decimal(c, "limit"), decimal(c, "delta")) for c in checks]
        plans = [b["limit"] for b in mine if study and b["kind"] == "sealed"]
        limits += [(decimal(p, "epsilon"), decimal(p, "delta")) for p in plans]
        return {best_order(*limit) for limit in limits}

    def _declared(self, where: str, lineage: str) -> list[dict[str, Any]]:
        """The rows of a dataset's lifetime budget, oldest first."""
        rows = [b for b in self.rows if b["kind"] in ("declared", "raised")]
        return [b for b in rows if (b["institution"], b["lineage"]) == (where, lineage)]

    def _check_bound(self, figure: Any, divergence: float, order: float, where: str) -> None:
        """A bound may be wider than the filter's, never narrower. Raises Wrong."""
        least = converted(divergence, order, decimal(figure, "delta"))
        if decimal(figure, "epsilon") < least * (1.0 - CLOSE):
            said = figure["epsilon"]
            raise Wrong(f"{where} it claims ε = {said}, and the filter lets {least:.6g} pass")

    def _group(self, group: Any) -> None:
        if pick(group, "claimed", str) not in (ONE, ALL):
            raise Wrong(f"it claims {group['claimed'][:80]!r}, which is none of its two readings")
        parts = [self.parts[key] for key in pick(group, "parts", list) if key in self.parts]
        if len(parts) != len(group["parts"]) or {part.unit for part in parts} - {group["unit"]}:
            raise Wrong("it composes parts that it does not have, or of different units")
        one, together = pick(group, ONE, dict), pick(group, ALL, dict)
        if {one["delta"], together["delta"]} != {group["delta"]}:
            raise Wrong("it compares an ε at one δ with an ε at another")
        for figure in (one, together):
            _check_told(figure, group["unit"], "all together")
        self._check_dearest(one, parts)
        self._check_together(together, parts)
        if group.get("odometer", "") != (ODOMETER if _is_odometer(parts) else ""):
            raise Wrong("of several studies it claims a sum that later plans may have followed")
        if group["claimed"] == ONE and sum(bool(part.spent) for part in parts) > 1:
            self._check_attested(group, parts)

    def _check_dearest(self, figure: Any, parts: list[Claimed]) -> None:
        said, delta = decimal(figure, "epsilon"), decimal(figure, "delta")
        for part in parts:
            if part.order is not None and part.spent:
                least = converted(part.divergence, part.order, delta)
            else:
                least = self.figures.interval("pld", part.spent, delta)[0].low
            if said < least * (1.0 - CLOSE) - 1e-9:
                raise Wrong(f"its dearest part costs ε = {said:.6g}, and {part.key} {least:.6g}")

    def _check_together(self, figure: Any, parts: list[Claimed]) -> None:
        orders = [part.order for part in parts if part.order is not None and part.spent]
        total: History = {}
        for part in parts:
            for price, steps in part.spent.items():
                total[price] = total.get(price, 0) + steps
        if not orders:
            self.figures.check(figure, total)
            return
        lowest = min(orders)
        spent = math.fsum(
            part.divergence
            if part.order is not None
            else self.figures.divergence(part.spent, lowest)
            for part in parts
        )
        if sealed_order(figure) != lowest:
            raise Wrong(f"it does not compose its filters at the lowest order, {lowest:g}")
        self._check_bound(figure, spent, lowest, "of all together")

    def _check_attested(self, group: Any, parts: list[Claimed]) -> None:
        """The maximum is claimed on somebody's word that stands in the ledger. Raises Wrong."""
        said = group["attested_by"]
        last = said[-1] if isinstance(said, list) and said else {}
        found = [b for b in self.rows if b["sequence"] == last.get("entry")]
        body = found[0] if found and found[0]["kind"] == "attested" else {}
        if body.get("study") != self.study or body.get("withdrawn"):
            raise Wrong("it claims the dearest part alone, and nobody attests disjoint patients")
        if (last.get("name"), last.get("text")) != (body["name"], body["text"]):
            raise Wrong("it quotes an attestation otherwise than the ledger")
        ran = {self._protocol(part.key) for part in parts if part.spent}
        if ran != {body["protocol_digest"]}:
            raise Wrong("it claims the dearest part alone, on an attestation of another protocol")
        if not {part.key for part in parts} <= set(pick(body, "institutions", list)):
            raise Wrong("it claims the dearest part alone, and the attestation names fewer")
        later = (b for b in self.rows if b["kind"] == "attested")
        later = (b for b in later if b["sequence"] > body["sequence"])
        if any(b["study"] == self.study and b.get("withdrawn") for b in later):
            raise Wrong("it claims the dearest part alone, on an attestation that was withdrawn")

    def _protocol(self, where: str) -> str:
        """The protocol that was sealed last at an institution, or that its rounds ran under."""
        mine = [
            b for b in self.rows if (b.get("study"), b.get("institution")) == (self.study, where)
        ]
        for kind in ("sealed", "reserved"):
            for body in reversed(mine):
                if body["kind"] == kind:
                    return pick(body, "protocol_digest", str)
        return ""


def _check_told(figure: Any, unit: Any, where: str) -> None:
    """What people read of a figure: its rounding, its unit, its accountant. Raises Wrong."""
    check_shown(figure, where)
    if figure.get("unit") != unit:
        raise Wrong(f"of {where} it claims ε per {figure.get('unit')}, of costs per {unit}")
    if figure.get("accountant") not in ("rdp", *TOLERANCES):
        raise Unknown(f"the accountant {str(figure.get('accountant'))[:80]!r}")


def _is_odometer(parts: list[Claimed]) -> bool:
    """Whether one study may have been chosen after another's results, with no filter over them."""
    spent = [part for part in parts if part.spent]
    studies = {study for part in spent for study in part.studies}
    filtered = all(part.order is not None for part in spent)
    return len(spent) > 1 and len(studies) > 1 and not filtered


def _divergence(limit: float, delta: float, order: float) -> float:
    """The largest Rényi divergence at an order that still proves (limit, δ): see `converted`."""
    free = -math.log1p(-delta * delta)
    return max(limit - math.log1p(-1 / order) + math.log(delta * order) / (order - 1.0), free)


# ==================================================================================================
# reports: part of cloister-verify
#
# Reports against the entries: digest, signatures, every mechanism, every release, every ε.
# ==================================================================================================

OLDER = ("cloister-privacy-report/1", "cloister-privacy-report/2")  # claimed one ε for all
REPORT_SCHEMAS = (*OLDER, "cloister-privacy-report/3")
CONTEXTS = ("cloister-report-v1\n", "cloister-report-signature-v1\n")
TOLD = ("reserved", "released", "booked")
SAME = ("at", "institution", "lineage", "round", "attempt", "phase", "sealed")


def check_reports(
    bundled: Any, given: Any, entries: Entries, replay: Replay, key: str, verdict: Verdict
) -> None:
    """The report in the bundle and the one from a file, where there are any."""
    if bundled is None and given is None:
        verdict.skip("report", "there is none in the bundle, and none was given with --report")
        return
    said = []
    try:
        if bundled is not None:
            said.append(_check_bundled(bundled, entries, replay, key))
        if given is not None:
            said.append(_check_given(given, entries, replay, key))
    except Wrong as wrong:
        verdict.wrong("report", str(wrong))
    except MALFORMED as error:
        verdict.wrong("report", f"it is malformed: {error!r:.200}")
    except TooLarge as error:
        verdict.unsure("report", f"a figure cannot be derived again: {error}")
    verdict.good("report", "; ".join(said))


def _check_given(given: Any, entries: Entries, replay: Replay, key: str) -> str:
    """A report as downloaded, or one with its signatures as in a bundle."""
    if isinstance(given, dict) and "signatures" in given:
        return _check_bundled(given, entries, replay, key)
    digest = sha256(canonical(given).encode()).hex()
    return f"{Report(given, entries, replay).check()}; SHA-256 {digest}, without signatures"


def _check_bundled(bundled: Any, entries: Entries, replay: Replay, key: str) -> str:
    text = pick(bundled, "text", str)
    digest = sha256(text.encode("utf-8", "replace")).hex()
    if pick(bundled, "sha256", str) != digest:
        raise Wrong(f"its SHA-256 is {digest}, not the one that stands beside it")
    try:
        document = parse(text)
    except Unreadable as error:
        raise Wrong(f"it cannot be read: {error}") from error
    if canonical(document) != text:
        raise Wrong("it is not in canonical form")
    people = [_signer(row, digest, key) for row in pick(bundled, "signatures", list)]
    names = ", ".join(name for name in people if name) or "no person"
    return f"{Report(document, entries, replay).check()}; signed by {names}"


def _signer(row: Any, digest: str, key: str) -> str:
    """Who signed, in words; empty for the hub itself. Raises Wrong."""
    context, text = pick(row, "context", str), pick(row, "text", str)
    if context not in CONTEXTS:
        raise Unknown(f"a signature for {context[:80]!r}")
    if pick(row, "key", str) != key:
        raise Wrong("a signature under it is by another key than the hub's")
    check_signature(key, (context + text).encode(), pick(row, "signature", str))
    if context == CONTEXTS[0]:
        if text != digest:
            raise Wrong("the hub's signature is under another report")
        return ""
    words = parse(text)
    if pick(words, "report_sha256", str) != digest:
        raise Wrong("a person's signature is under another report")
    return f"{pick(words, 'name', str)} ({pick(words, 'meaning', str)}, {pick(words, 'at', str)})"


class Report:
    """One report beside the entries that it is about."""

    def __init__(self, document: Any, entries: Entries, replay: Replay) -> None:
        identity = pick(document, "report", dict)
        if identity.get("schema") not in REPORT_SCHEMAS:
            raise Unknown(f"the report schema {str(identity.get('schema'))[:80]!r}")
        self.document, self.entries, self.replay = document, entries, replay
        head = pick(pick(document, "integrity", dict), "ledger_head", dict)
        self.head = pick(head, "entry", int)
        if self.head and entries.digests.get(self.head) != head.get("sha256"):
            raise Wrong(f"its ledger head, entry {self.head}, is not that of this bundle")
        self.older = identity["schema"] in OLDER
        self.about = Scope(document, entries, self.head)
        self.claims = Claims(document, entries, replay.figures, self.about)
        self.states = self._states()
        self.found: list[tuple[dict[str, Any], Event]] = []

    def check(self) -> str:
        """What holds, in words. Raises Wrong, TooLarge."""
        for row in pick(self.document, "mechanisms", list):
            self._check_mechanism(row)
        self._check_complete()
        released = pick(pick(self.document, "releases", dict), "released", list)
        for row in released:
            body = self._body(row, "released", "booked", "lost")
            late = body["kind"] == "lost" and str(row.get("outcome")).startswith("it came too late")
            if not late and row.get("sha256") != body.get("tensors_digest"):
                raise Wrong(f"entry {body['sequence']} released something else than it says")
        parts = pick(pick(self.document, "parameters", dict), "institutions", list)
        self._check_parts(parts)
        for part in parts:
            self._check_part(part)
        if self.older:
            self._check_statement()
        else:
            self.claims.across()
            check_audits(pick(self.document, "audit", dict), self.about)
            check_incidents(pick(self.document, "incidents", list), self.about)
        return (
            f"{len(self.found)} mechanisms, {len(released)} releases and the ε of {len(parts)} "
            f"parts agree with the entries up to {self.head}"
        )

    def _states(self) -> dict[Any, str]:
        """The newest kind of row of each place, when the report was made."""
        states = {}
        for number, body in sorted(self.entries.bodies.items()):
            if number <= self.head and body.get("kind") in LIVING:
                states[place_of(body)] = body["kind"]
        return states

    def _body(self, row: Any, *kinds: str) -> dict[str, Any]:
        number = pick(row, "entry", int)
        body = self.entries.bodies.get(number)
        if body is None or body.get("kind") not in kinds or number > self.head:
            raise Wrong(f"it names entry {number} as {kinds[0]}, and this bundle has no such entry")
        return body

    def _check_mechanism(self, row: Any) -> None:
        body = self._body(row, "reserved", "booked")
        number, figure = body["sequence"], pick(body, "figure", dict)
        expected = {name: body[name] for name in SAME}
        expected.update(pick(body, "event", dict))
        expected.update({name: figure.get(name) for name in ("delta", "accountant")})
        expected["epsilon_after"] = figure.get("epsilon")
        state = "booked" if body["kind"] == "booked" else self.states[place_of(body)]
        expected.update(state=state, counted=state != "aborted")
        for name, value in expected.items():
            if row.get(name) != value:
                raise Wrong(f"of entry {number} it says {name} = {row.get(name)!r}, not {value!r}")
        if row["counted"]:
            self.found.append((body, event(body["event"])))

    def _check_complete(self) -> None:
        """Nothing of its scope may be missing: no mechanism, and nothing that left."""
        told = {
            "mechanisms": {row["entry"] for row in self.document["mechanisms"]},
            "releases": {row["entry"] for row in self.document["releases"]["released"]},
        }
        for body in self.about.rows:
            spends = body["kind"] == "reserved" or "event" in body
            section = "mechanisms" if spends else "releases"
            if body["kind"] in TOLD and body["sequence"] not in told[section]:
                raise Wrong(f"it leaves out entry {body['sequence']}, which it is about")

    def _check_parts(self, parts: list[Any]) -> None:
        """Each place that something was spent at is one part. Raises Wrong."""
        keys = [self._key(part) for part in parts]
        if len(set(keys)) < len(keys):
            raise Wrong("it tells of one part twice")
        missing = {self._key(body) for body, _ in self.found} - set(keys)
        if missing:
            raise Wrong(f"it has no part for {' '.join(min(missing))}, which spent something")

    def _key(self, row: Any) -> tuple[str, ...]:
        """What a part is about: an institution in a study, a dataset across studies."""
        where = (pick(row, "institution", str), str(row.get("lineage", "")))
        return where[:1] if self.about.study else where

    def _check_part(self, part: Any) -> None:
        where = pick(part, "institution", str)
        told = [(body, found) for body, found in self.found if self._key(body) == self._key(part)]
        spent = history(found for _, found in told)
        for name in ("second_opinion", "spent"):
            if part.get(name) is None and part.get("odometer"):
                continue
            figure = pick(part, name, dict)
            try:
                derived = self.replay.figures.check(figure, spent)
            except Wrong as wrong:
                raise Wrong(f"of {where} ({name}) {wrong}") from wrong
            check_shown(figure, where)
        if not self.older:
            self.claims.part(part, told)
        certified = part.get("certified")
        if isinstance(certified, dict):
            low, high = decimal(certified, "low"), decimal(certified, "high")
            if low > derived.high or high < derived.low:
                raise Wrong(f"of {where} it certifies [{low:g}, {high:g}], but ε lies elsewhere")

    def _check_statement(self) -> None:
        """The sentence for people quotes the worst part, rounded up."""
        parts = self.document["parameters"]["institutions"]
        worst = max((decimal(part["spent"], "epsilon") for part in parts), default=0.0)
        for row in pick(self.document, "statement", list):
            figure = row.get("figure")
            if figure and decimal(figure, "epsilon") < worst:
                raise Wrong(f"its statement says ε = {figure['epsilon']}, a part spent {worst}")
            if figure and pick(figure, "shown", str) not in pick(row, "sentence", str):
                raise Wrong("its statement does not quote its own figure")


# ==================================================================================================
# command: part of cloister-verify
#
# The command: reads its arguments and files, prints the verdict, answers with a status.
# ==================================================================================================

SCHEMA = "cloister-bundle/1"
LISTS = ("entries", "checkpoints", "consistency", "witnesses")
PARTS = {"schema", "hub_key", "complete", "scope", "report", *LISTS}


def main(arguments: list[str] | None = None) -> int:
    """Judge a bundle. 0: everything holds; 1: something is wrong; 2: it cannot be judged."""
    options = _options(arguments)
    verdict = Verdict()
    try:
        replay = judge(options, verdict)
    except Unreadable as error:
        return _refused(str(error), verdict, as_json=options.json)
    except MALFORMED as error:
        return _refused(f"the bundle is malformed: {error!r:.200}", verdict, as_json=options.json)
    except MemoryError:
        return _refused("the bundle does not fit in memory", verdict, as_json=options.json)
    if options.json:
        answer = verdict.to_json()
        answer["spent"] = [dict(_spent(replay, place)) for place in sorted(replay.losses)]
        _say(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        _print(verdict, replay)
    return verdict.code


def judge(options: argparse.Namespace, verdict: Verdict) -> Replay:
    """Every check in order. Raises Unreadable, or Unknown where something is newer than this."""
    document = understood(read(options.bundle))
    report = _report(options.report) if options.report else None
    pins = dict(_pin(text) for text in options.site)
    key = _check_key(document["hub_key"], options.key, verdict)
    complete = document["complete"]
    entries = Entries(document["entries"], verdict, complete=complete)
    signed = Signed(document, entries, key, verdict)
    signed.check_checkpoints()
    if not complete:
        signed.check_inclusion()
    signed.check_consistency()
    signed.check_witnesses(pins)
    replay = Replay(verdict, complete=complete)
    for number, body in sorted(entries.bodies.items()):
        replay.step(number, body)
    replay.finish()
    check_reports(document.get("report"), report, entries, replay, key, verdict)
    return replay


def understood(document: Any) -> dict[str, Any]:
    """The document, if it is a bundle of this form. Raises Unreadable or Unknown."""
    mistaken = no_bundle(document)
    if mistaken:
        raise Unreadable(mistaken)
    if document["schema"] != SCHEMA:
        raise Unknown(f"the schema {str(document['schema'])[:80]!r}")
    more = sorted(set(document) - PARTS)
    if more:
        raise Unknown(f"the part {more[0][:80]!r} of a bundle")
    try:
        hexadecimal(document, "hub_key")
        pick(document, "complete", bool)
        for name in LISTS:
            pick(document, name, list)
    except Wrong as wrong:
        raise Unreadable(f"the bundle is damaged: {wrong}") from wrong
    return document


def _report(path: str) -> Any:
    """The report in a file. Raises Unreadable where it is something else."""
    report = read(path)
    mistaken = no_report(report)
    if mistaken:
        raise Unreadable(mistaken)
    return report


def _check_key(said: str, pinned: str | None, verdict: Verdict) -> str:
    if pinned is None:
        verdict.warn(
            "key",
            f"{said} IS TAKEN FROM THE BUNDLE ITSELF: whoever forged the one forged the other. "
            "Ask the institutions which key their sites pinned, and give it with --key",
        )
        return said
    if pinned != said:
        verdict.wrong("key", f"the bundle is by {said}, not by the key you gave")
    verdict.good("key", f"{said} is the key you gave")
    return pinned


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cloister-verify",
        description="Verifies a privacy ledger from its exported bundle, trusting nobody.",
        epilog="Exit status: 0 everything holds, 1 something is wrong, 2 it cannot be judged.",
    )
    parser.add_argument("bundle", help="the bundle, as exported from the ledger's page")
    parser.add_argument("--key", type=_key, help="the hub's public key, from a second source")
    parser.add_argument(
        "--site", action="append", default=[], metavar="NAME=KEY", help="a site's public key"
    )
    parser.add_argument("--report", metavar="FILE", help="a report (JSON) to check against it")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return parser.parse_args(arguments)


def _key(text: str) -> str:
    try:
        return hexadecimal_text(text.strip().lower(), "the key")
    except Wrong as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from wrong


def _pin(text: str) -> tuple[str, str]:
    name, _, key = text.partition("=")
    try:
        return name, hexadecimal_text(key.strip().lower(), f"the key of {name}")
    except Wrong as wrong:
        raise Unreadable(f"--site {text}: {wrong}") from wrong


def _print(verdict: Verdict, replay: Replay) -> None:
    for line in verdict.lines():
        _say(line)
    if replay.losses:
        _say("\nWhat is spent, derived again from the events (a certified interval):")
    for place in sorted(replay.losses):
        found = _spent(replay, place)
        _say(
            f"  {found['study']} at {found['institution']}: ε in [{found['low']}, {found['high']}]"
            f" at δ = {found['delta']}; entry {found['entry']} said {found['epsilon']} "
            f"({found['accountant']})"
        )
    _say(f"\n{SENTENCES[verdict.code]}")


SENTENCES = {
    0: "The bundle holds.",
    1: "THE BUNDLE DOES NOT HOLD: see the lines marked ✗.",
    2: "The bundle cannot be judged in full: see the lines marked ?.",
}


def _spent(replay: Replay, place: tuple[str, str]) -> dict[str, str]:
    """What a study spent at an institution in the end: an abortion may have given some back."""
    loss, spent = replay.losses[place], replay.lives.spent.study(*place)
    interval, _ = replay.figures.interval("pld", spent, float(loss.delta))
    return {
        "study": place[0],
        "institution": place[1],
        "low": f"{math.floor(interval.low * 1e4) / 1e4:.4f}",
        "high": f"{math.ceil(interval.high * 1e4) / 1e4:.4f}",
        "delta": loss.delta,
        "entry": str(loss.entry),
        "epsilon": loss.epsilon,
        "accountant": loss.accountant,
    }


def _refused(why: str, verdict: Verdict, *, as_json: bool) -> int:
    """What was found before it had to stop stands: wrong stays wrong."""
    code = verdict.code or 2
    if as_json:
        answer = {**verdict.to_json(), "ok": False, "code": code, "refused": why}
        _say(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        for line in verdict.lines():
            _say(line)
        _say(f"✗ refused: {why}")
    return code


def _say(text: str) -> None:
    """Print, also where the terminal knows no mark or Greek letter; no control characters."""
    clean = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    coding = sys.stdout.encoding or "ascii"
    sys.stdout.write(clean.encode(coding, "replace").decode(coding) + "\n")


if __name__ == "__main__":
    sys.exit(main())
