"""The rule for Conv1d and Conv2d: a matrix product at every position, over unfolded patches."""

import torch
from torch import nn
from torch.nn import functional

from federation.learning.layout import Layout
from federation.learning.rules import Part, Tap
from federation.learning.rules.made import zeroed
from federation.learning.rules.products import Products
from federation.learning.rules.rounding import sum_of_norms
from federation.learning.rules.taps import HookTap

Convolution = nn.Conv1d | nn.Conv2d


class ConvolutionPart:
    """Inputs [rows, channels, height, width], padded; gradients [rows, channels, …].

    Each group of channels is a layer of its own: row r's group k counts as row r·groups + k.
    """

    slack = 0.0  # it is within the squares

    def __init__(self, module: Convolution, a: torch.Tensor, g: torch.Tensor) -> None:
        self._a, self._g = a, g
        self.parameters = list(module.parameters())
        self._groups = module.groups
        # One axis counts as two, of which the first is 1.
        self._kernel, self._stride, self._dilation = (
            (1, *size)[-2:] for size in (module.kernel_size, module.stride, module.dilation)
        )
        self._weight = module.weight.view(*module.weight.shape[:2], *self._kernel)
        self._products: Products | None = None

    @property
    def numbers(self) -> int:
        """Inputs, gradients, the unfolded patches, and the Gram matrices or made gradients."""
        rows, _, height, width = self._g.shape
        positions, taps = height * width, self._weight[0].numel()
        patches = rows * positions * taps * self._groups
        size = min(4 * positions**2 * self._groups, self._weight.numel())
        return 2 * (self._a.numel() + self._g.numel()) + patches + 2 * rows * size

    def squares(self, layout: Layout) -> torch.Tensor:
        """As `Products`, added over the groups."""
        self._products = self._by_group()
        found = self._products.squares(self._split(layout))
        return found.view(-1, self._groups).sum(dim=1)

    def magnitudes(self) -> torch.Tensor:
        """See `Part`."""
        return sum_of_norms([self._a.flatten(1), self._g.flatten(1)])

    def drop(self, rows: torch.Tensor) -> None:
        """See `Part`."""
        self._a, self._g = zeroed(self._a, rows), zeroed(self._g, rows)

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """From the gradients that were made for the norms, else as torch's own backward."""
        if self._products is not None and self._products.made:
            made = [self._shaped(found, layout) for found in self._products.made]
            weights = factors.to(self._g.dtype)
            return [
                torch.tensordot(weights, found, dims=1)
                for found in self._named(made, len(self.parameters))
            ]
        return self._backward(layout.to_rows(factors))

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """See `Part`."""
        made = self._by_group().per_unit(self._split(layout))
        shaped = [self._shaped(found, layout) for found in made]
        return self._named(shaped, len(self.parameters))

    def _named(self, found: list[torch.Tensor], count: int) -> list[torch.Tensor]:
        weight, *bias = found[:count]
        return [weight.view(len(weight), *self.parameters[0].shape), *bias]

    def _shaped(self, found: torch.Tensor, layout: Layout) -> torch.Tensor:
        """[units, channels, …] from [units · groups, channels of a group, …]."""
        return found.view(layout.n_units, -1, *found.shape[2:])

    def _by_group(self) -> Products:
        g = self._g.reshape(len(self._g) * self._groups, -1, self._g[0, 0].numel())
        u = self._patches().view(len(g), -1, g.shape[2])
        return Products([u.transpose(1, 2)], g.transpose(1, 2), len(self.parameters) - 1)

    def _patches(self) -> torch.Tensor:
        if {*self._kernel, *self._stride} == {1}:
            return self._a.flatten(2)
        return functional.unfold(
            self._a, self._kernel, dilation=self._dilation, stride=self._stride
        )

    def _split(self, layout: Layout) -> Layout:
        if self._groups == 1:
            return layout
        groups, n_units = self._groups, layout.n_units * self._groups
        if layout.units is None:
            return Layout(None, n_units)
        each = torch.arange(groups, device=layout.units.device)
        return Layout((layout.units[:, None] * groups + each).flatten(), n_units)

    def _backward(self, factors: torch.Tensor) -> list[torch.Tensor]:
        biases = len(self.parameters) - 1
        g = self._g * factors.to(self._g.dtype)[:, None, None, None]
        _, weight, bias = torch.ops.aten.convolution_backward(
            g,
            self._a,
            self._weight,
            [len(self._weight)] if biases else None,
            self._stride,
            [0, 0],
            self._dilation,
            False,
            [0, 0],
            self._groups,
            [False, True, bool(biases)],
        )
        weight = weight.view(self.parameters[0].shape)
        return [weight, bias] if biases else [weight]


class ConvolutionRule:
    """Any stride, dilation, groups, and padding with zeros."""

    kinds: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d)

    def refuses(self, module: nn.Module) -> str | None:
        """Padding other than with zeros."""
        assert isinstance(module, nn.Conv1d | nn.Conv2d)  # noqa: S101 - by `kinds`
        mode = module.padding_mode
        return None if mode == "zeros" else f"padding_mode {mode!r} has no rule; use 'zeros'"

    def tap(self, module: nn.Module) -> Tap:
        """By a forward hook."""
        return HookTap(module, _part)


def _part(module: Convolution, a: torch.Tensor, g: torch.Tensor) -> Part:
    # Last axis first, each before and after, as `pad` wants it; also where it is asymmetric.
    around = module._reversed_padding_repeated_twice
    padded = functional.pad(a, around) if any(around) else a
    if padded.ndim == 3:
        padded, g = padded.unsqueeze(2), g.unsqueeze(2)
    return ConvolutionPart(module, padded, g)


RULE = ConvolutionRule()
