"""How much memory a pass over rows takes: seen on a trial with a few rows, and what it may take."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CHUNK_BYTES = 128 << 20  # of memory for the rows that are computed together


class Peak(TorchDispatchMode):
    """`bytes`: of all tensors made meanwhile, as many as were ever alive at once.

    It sees no memory that an operation needs inside and gives back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self._now = 0, 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do it, and count the storages of what comes out."""
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return found

    def _count(self, storage: torch.UntypedStorage) -> None:
        # Tensors that are views of one another share one storage, and torch one object for it.
        name, size = storage._cdata, storage.nbytes()
        if name in self._alive:
            return
        self._alive.add(name)
        self._now += size
        self.bytes = max(self.bytes, self._now)
        weakref.finalize(storage, self._gone, name, size)

    def _gone(self, name: int, size: int) -> None:
        self._alive.discard(name)
        self._now -= size


def row_bytes(run: Callable[[torch.Tensor], object], example: torch.Tensor) -> int:
    """What a row takes while `run` computes, at most; `example` is a few rows of input, zeros."""
    with Peak() as peak:
        run(example)
    return peak.bytes // len(example)
