"""A GPU that is not there: tensors that say `cuda`, refuse to meet others, and count what waits.

The arithmetic is real and done by the processor, so that all that depends on data runs as it
would, with the processor's numbers. What lies on the pretended device is known by its storage:
views, `.data` and autograd then need no care. What CUDA would refuse raises; what it would do,
but only after waiting for the GPU, is counted. Not shown: that a CUDA kernel exists for each
operation, and what it rounds to.
"""

from collections import Counter
from contextlib import contextmanager

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
# Operations that take a 0-dimensional tensor of the processor beside those of the device.
TAKES_SCALARS = {"aten::index_put_", "aten::_index_put_impl_", "aten::fill_", "aten::masked_fill"}
# What ends in a number or a size that only the device knows. Booleans as indices do so too.
WAITS = {
    "aten::_local_scalar_dense",
    "aten::item",  # what inference mode leaves of it
    "aten::nonzero",
    "aten::_unique2",
    "aten::masked_select",
    "aten::bincount",
    "aten::equal",
}
INDEXING = {"aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_"}


class Mixed(RuntimeError):
    """What CUDA refuses: tensors of two devices in one operation, or numpy on the device's."""


class Pretended(TorchFunctionMode):
    """Between `with` and its end, `cuda` is a device; `seen` counts what crossed or waited."""

    def __init__(self):
        super().__init__()
        self._there = {}
        self.seen = Counter()
        self._checks = _Checks(self)

    def __enter__(self):
        self._checks.__enter__()
        return super().__enter__()

    def __exit__(self, *raised):
        super().__exit__(*raised)
        self._checks.__exit__(*raised)

    def holds(self, tensor):
        """Whether it lies on the pretended device."""
        storage = self._there.get(tensor.untyped_storage()._cdata)
        return storage is not None and not storage.expired()

    def take(self, tensor):
        """From now on it does; the same tensor."""
        storage = tensor.untyped_storage()
        self._there[storage._cdata] = StorageWeakRef(storage)
        return tensor

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(function, "__name__", "")
        if name == "__get__":
            return self._property(function, args)
        if name in {"numpy", "__array__"} and self.holds(args[0]):
            raise Mixed("numpy is given a tensor that lies on the device")
        if name in {"to", "cpu", "cuda"} and isinstance(args[0], torch.Tensor):
            return self._moved(name, function, *args, **kwargs)
        if "device" in kwargs:
            return self._made(function, args, kwargs)
        return function(*args, **kwargs)

    def _property(self, function, args):
        if function == torch.Tensor.device.__get__ and self.holds(args[0]):
            return CUDA
        if function == torch.Tensor.is_cuda.__get__:
            return self.holds(args[0])
        return function(*args)

    def _moved(self, name, function, tensor, *args, **kwargs):
        """`to`, `cpu` and `cuda`, in all their forms."""
        given = [*args, *kwargs.values()]
        wanted = {"cpu": CPU, "cuda": CUDA}.get(name) or self._named(given)
        if wanted is None:
            return function(tensor, *args, **kwargs)
        kind = next((x for x in given if isinstance(x, torch.dtype)), tensor.dtype)
        if self.holds(tensor) == (wanted.type == "cuda"):
            return torch.Tensor.to(tensor, kind)
        self.seen["to the device" if wanted.type == "cuda" else "back"] += 1
        with self._checks.off():
            moved = torch.Tensor.to(tensor, kind, copy=True)
        return self.take(moved) if wanted.type == "cuda" else moved

    def _named(self, given):
        for each in given:
            if isinstance(each, torch.Tensor):
                return CUDA if self.holds(each) else CPU
            if isinstance(each, torch.device | str):
                return torch.device(each)
        return None

    def _made(self, function, args, kwargs):
        wanted = kwargs.pop("device")
        found = function(*args, **kwargs, **({} if wanted is None else {"device": "cpu"}))
        return self.take(found) if wanted and torch.device(wanted).type == "cuda" else found


class _Checks(TorchDispatchMode):
    """Sees each operation as the processor gets it, those of autograd and of C++ too."""

    def __init__(self, device):
        super().__init__()
        self._device, self._off = device, False

    @contextmanager
    def off(self):
        """While a tensor is moved."""
        self._off = True
        try:
            yield
        finally:
            self._off = False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
        if self._off or not any(map(self._device.holds, given)):
            return found
        self._refuse(function, given)
        self._count(function, args)
        for made in tree_flatten(found)[0]:
            if isinstance(made, torch.Tensor):
                self._device.take(made)
        return found

    def _refuse(self, function, given):
        schema = function._schema.name
        strangers = [x for x in given if not self._device.holds(x)]
        if schema == "aten::copy_":
            self._device.seen["copied"] += bool(strangers)
            return
        pointwise = torch.Tag.pointwise in function.tags or schema in TAKES_SCALARS
        if any(x.ndim or not pointwise for x in strangers):
            raise Mixed(f"{schema} is given tensors of the device and of the processor")

    def _count(self, function, args):
        schema = function._schema.name
        if schema in WAITS or (schema in INDEXING and _by_booleans(args[1])):
            self._device.seen["waited"] += 1


def _by_booleans(indices):
    return any(index is not None and index.dtype == torch.bool for index in indices)


@contextmanager
def pretended_cuda(patched):
    """`patched` is pytest's monkeypatch; PyTorch then says that there is a GPU."""
    patched.setattr(torch.cuda, "is_available", lambda: True)
    # Whether to lay weights out for cuDNN, which this PyTorch may not have.
    patched.setattr(torch.backends.cudnn, "is_acceptable", lambda tensor: False)
    with Pretended() as device:
        yield device
