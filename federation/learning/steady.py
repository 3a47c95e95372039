"""Matrix products of which each row depends on that row alone, to the last bit.

A library's product may round a row differently when there are more rows, or when it stands at
another place: where few numbers come out it works on rows in pairs, and the last rows of a number
that is not round go another way. One unit more or less would then move what *others* add, by
rounding; and a hub that knows the others and chooses the weights can make a whole clip of that.
So rows are filled up to a multiple of `ROWS`, or to one fixed number where memory is short, and
narrow products are taken with rows as columns; recurrent layers and convolutions are never narrow
(their parameters' bounds). In a batch of products one that begins at an odd place in memory, or is
alone, may be rounded another way: all begin at multiples of four numbers, and give such sides.
Measured on processors that torch's MKL serves, with one thread and several
(tests/learning/test_steady.py, test_steady_patients.py), not proven.
"""

import torch
from torch import nn

ROWS = 32
_FEWER = (16, 8)  # not 24: its last rows go another way where few numbers come out
_NARROW = 16
_SIDE = 4


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x·weightᵀ + bias: [rows, outputs] from [rows, inputs]."""
    if not 1 < weight.shape[0] < _NARROW:
        return nn.functional.linear(x, weight, bias)
    if bias is None:
        return (weight @ x.t()).t()
    return torch.addmm(bias[:, None], weight, x.t()).t()


def back(g: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """g·weight: the gradient at the inputs [rows, inputs] from that at the outputs."""
    return (weight.t() @ g.t()).t() if 1 < weight.shape[1] < _NARROW else g @ weight


def batched(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a·b of each of many: [n, rows, columns] from [n, rows, k] and [n, k, columns]."""
    rows, columns = a.shape[1], b.shape[2]
    if rows % _SIDE:
        a = nn.functional.pad(a, (0, 0, 0, -rows % _SIDE))
    if columns % _SIDE:
        b = nn.functional.pad(b, (0, -columns % _SIDE))
    a, b = (x.contiguous() if x.stride(0) % _SIDE else x for x in (a, b))
    return torch.bmm(a, b)[:, :rows, :columns]


class Linear(nn.Linear):
    """torch's layer, by `linear` where rows are rows; autograd keeps the order of its backward."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[rows, …, inputs] to [rows, …, outputs]."""
        if input.ndim != 2:
            return super().forward(input)
        return linear(input, self.weight, self.bias)


def together(most: int) -> int:
    """How many rows to compute at once where memory has room for `most`."""
    if most >= ROWS:
        return most // ROWS * ROWS
    return next((size for size in _FEWER if most >= size), 1)


def filled(count: int, most: int) -> int:
    """How many rows to compute for `count` <= `most`, which is as `together` says.

    Up to a multiple of `ROWS`; where there is less room, always exactly as many as there is.
    """
    if count == 0:
        return 0
    return most if most < ROWS else -(-count // ROWS) * ROWS
