"""Tensors: one form on the wire; NaN, other shapes, oversize and truncation never get in."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from accounting.dp.events import PrivacyEvent
from federation.protocol.priced import Priced
from federation.protocol.tensors import TensorError, check_like, norm, pack, unpack
from tests.protocol.samples import EVENT

MODEL = {
    "0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "0.bias": np.array([0.5, -0.5], dtype=np.float32),
    "steps": np.array(7, dtype=np.int64),
}
DTYPES = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint32, np.uint64])
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=_finite(dtype),
    )
)


def _finite(dtype: Any) -> Any:
    if np.issubdtype(dtype, np.floating):
        limits = {"allow_nan": False, "allow_infinity": False}
        return hnp.from_dtype(np.dtype(dtype), **limits)
    return None


@given(st.dictionaries(st.text(min_size=1, max_size=5), ARRAYS, min_size=1, max_size=4))
def test_what_was_packed_comes_back(tensors: dict[str, np.ndarray]) -> None:
    if "__metadata__" in tensors:
        return
    back = unpack(pack(tensors), tensors)
    assert set(back) == set(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
        assert back[name].flags.writeable


def test_equal_tensors_give_equal_bytes() -> None:
    turned = dict(reversed(MODEL.items()))
    strided = np.zeros((2, 6), dtype=np.float32)[:, ::2]
    strided[:] = MODEL["0.weight"]
    swapped = MODEL["0.bias"].astype(">f4")
    assert pack(turned) == pack(MODEL)
    assert pack(MODEL | {"0.weight": strided, "0.bias": swapped}) == pack(MODEL)
    assert pack(unpack(pack(MODEL))) == pack(MODEL)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_both_ways(value: float) -> None:
    bad = MODEL | {"0.bias": np.array([0, value], dtype=np.float32)}
    with pytest.raises(TensorError, match=r"'0\.bias' contains NaN or infinity"):
        pack(bad)
    with pytest.raises(TensorError, match=r"'0\.bias' contains NaN or infinity"):
        unpack(save(bad), MODEL)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"0.bias": np.zeros(3, np.float32)}, r"float32 \(3,\), but the model has float32 \(2,\)"),
        ({"0.bias": np.zeros((2, 1), np.float32)}, r"\(2, 1\)"),
        ({"0.bias": np.zeros(2, np.float64)}, "float64"),
        ({"extra": np.zeros(2, np.float32)}, "are named"),
    ],
)
def test_another_form_than_the_models_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(TensorError, match=text):
        unpack(pack(MODEL | change), MODEL)
    with pytest.raises(TensorError, match=text):
        check_like(MODEL | change, MODEL)


def test_a_missing_tensor_is_refused() -> None:
    with pytest.raises(TensorError, match="are named"):
        unpack(pack({"0.bias": MODEL["0.bias"]}), MODEL)


@pytest.mark.parametrize("dtype", [np.float16, np.bool_, np.complex64, object, "U3"])
def test_other_element_types_are_refused(dtype: Any) -> None:
    with pytest.raises(TensorError, match="must be an array of one of"):
        pack({"x": np.zeros(2).astype(dtype)})
    with pytest.raises(TensorError, match="must be an array"):
        pack({"x": [1.0]})  # type: ignore[dict-item]


def test_a_foreign_element_type_on_the_wire_is_refused() -> None:
    with pytest.raises(TensorError, match="must be an array"):
        unpack(save({"x": np.zeros(2, np.float16)}))


def test_nothing_is_no_answer() -> None:
    with pytest.raises(TensorError, match="no tensor"):
        pack({})


@given(st.integers(0, len(pack(MODEL)) - 1))
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(TensorError):
        unpack(pack(MODEL)[:length], MODEL)


@given(st.binary(max_size=64))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(TensorError):
        unpack(data, MODEL)


def test_oversize_is_refused_before_parsing() -> None:
    with pytest.raises(TensorError, match="at most 10 are allowed"):
        unpack(pack(MODEL), max_bytes=10)
    large = pack({"x": np.zeros(2**19, np.float32)})
    with pytest.raises(TensorError, match="are allowed"):
        unpack(large, MODEL)


def test_nothing_travels_beside_the_tensors() -> None:
    with pytest.raises(TensorError, match="without metadata"):
        unpack(save(MODEL, metadata={"rows": "303"}), MODEL)
    with pytest.raises(TensorError):
        unpack(pack(MODEL) + b"303", MODEL)


@pytest.mark.parametrize("header", [b"[]", b"{", b"\xff", b"[" * 5000])
def test_an_odd_header_is_refused(header: bytes) -> None:
    with pytest.raises(TensorError):
        unpack(len(header).to_bytes(8, "little") + header)


def test_a_header_of_another_length_is_refused() -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}).encode()
    with pytest.raises(TensorError, match="not valid safetensors"):
        unpack(len(header).to_bytes(8, "little") + header + bytes(4))


def test_norm_is_that_of_all_elements_together() -> None:
    assert norm({"a": np.array([3.0]), "b": np.array([[4.0]])}) == 5.0
    assert norm({"a": np.full(4, 2e19, np.float32)}) == pytest.approx(4e19)
    assert norm({}) == 0.0


def test_a_value_without_a_price_is_no_value() -> None:
    assert Priced(MODEL, (EVENT,)).events == (EVENT,)
    with pytest.raises(ValueError, match="at least one tensor and one privacy event"):
        Priced(MODEL, ())
    with pytest.raises(ValueError, match="at least one tensor"):
        Priced({}, (EVENT,))
    wrong: Any = [EVENT]
    for events in (wrong, (PrivacyEvent.to_json(EVENT),)):
        with pytest.raises(TypeError, match="tuple of PrivacyEvent"):
            Priced(MODEL, events)
