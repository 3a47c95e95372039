"""Tensors on the wire: safetensors with one form per value, checked before anyone computes."""

import json
import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

Tensors: TypeAlias = dict[str, np.ndarray]

MAX_BYTES = 512 * 2**20
MAX_HEADER_BYTES = 2**20
DTYPES = frozenset({"float32", "float64", "int32", "int64", "uint8", "uint32", "uint64"})


class TensorError(ValueError):
    """The bytes or arrays are not what the model needs; the text names the tensor."""


def pack(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Safetensors bytes; equal tensors give equal bytes in whatever order they are named.

    Raises:
        TensorError: no tensor, an element type that is not allowed, or NaN or infinity.
    """
    if not tensors:
        raise TensorError("there is no tensor to pack")
    for name, array in tensors.items():
        _check_array(name, array)
    # safetensors copies raw memory: only C order and little-endian words are its format.
    return save({name: _plain(tensors[name]) for name in sorted(tensors)})


def unpack(
    data: bytes, like: Mapping[str, np.ndarray] | None = None, *, max_bytes: int = MAX_BYTES
) -> Tensors:
    """The writable arrays in `data`, with the names, shapes and dtypes of `like` when given.

    Raises:
        TensorError: oversize, truncated, not safetensors, metadata inside, NaN or infinity, or
            other names, shapes or element types than `like` has.
    """
    _check_frame(data, max_bytes if like is None else min(max_bytes, _most_bytes(like)))
    try:
        # safetensors gives views of the message; a model is trained in place, so copy.
        tensors = {name: array.copy() for name, array in load(data).items()}
    except (SafetensorError, ValueError, KeyError):
        raise TensorError("the bytes are not valid safetensors; they may be truncated") from None
    for name, array in tensors.items():
        _check_array(name, array)
    if like is not None:
        check_like(tensors, like)
    return tensors


def check_like(tensors: Mapping[str, np.ndarray], like: Mapping[str, np.ndarray]) -> None:
    """Return if both have the same names, shapes and element types. Raises TensorError."""
    if set(tensors) != set(like):
        raise TensorError(
            f"the tensors are named {sorted(tensors)}, but the model has {sorted(like)}"
        )
    for name, expected in like.items():
        array = tensors[name]
        if array.shape != expected.shape or array.dtype != expected.dtype:
            raise TensorError(
                f"tensor {name!r} is {array.dtype} {array.shape}, but the model has "
                f"{expected.dtype} {expected.shape}"
            )


def norm(tensors: Mapping[str, np.ndarray]) -> float:
    """The L2 norm of all elements together, added up in float64."""
    return math.sqrt(
        sum(float(np.sum(np.square(array, dtype=np.float64))) for array in tensors.values())
    )


def _plain(array: np.ndarray) -> np.ndarray:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    # ascontiguousarray would turn a scalar into a vector of one.
    return little if little.flags.c_contiguous else np.ascontiguousarray(little)


def _check_array(name: str, array: np.ndarray) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.name not in DTYPES:
        raise TensorError(f"tensor {name!r} must be an array of one of {sorted(DTYPES)}")
    if not np.isfinite(array).all():
        raise TensorError(f"tensor {name!r} contains NaN or infinity")


def _most_bytes(like: Mapping[str, np.ndarray]) -> int:
    return 8 + MAX_HEADER_BYTES + sum(array.nbytes for array in like.values())


def _check_frame(data: bytes, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise TensorError(f"the tensors take {len(data)} bytes; at most {max_bytes} are allowed")
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MAX_HEADER_BYTES, len(data) - 8):
        raise TensorError("the bytes are truncated or no safetensors: the header is incomplete")
    try:
        header = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError):
        raise TensorError("the header of the tensors is not JSON") from None
    # Free text beside the tensors would leave a site without a price.
    if not isinstance(header, dict) or "__metadata__" in header:
        raise TensorError("the tensors must come without metadata")
