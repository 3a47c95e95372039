"""The rule for Conv1d and Conv2d: a matrix product at every position, over unfolded patches."""

import torch
from torch import nn
from torch.nn import functional

from federation.learning import steady
from federation.learning.layout import Layout
from federation.learning.rules import Part, Tap
from federation.learning.rules.made import zeroed
from federation.learning.rules.products import Products
from federation.learning.rules.rounding import square_norms, sum_of_norms
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
        self._made: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def numbers(self) -> int:
        """Inputs, gradients, what is made for each row, and patches where they are unfolded."""
        rows, positions = len(self._g), self._g[0, 0].numel()
        held = 2 * (self._a.numel() + self._g.numel())
        patches = positions * self._weight[0].numel() * self._groups
        if self._makes(positions):
            return held + rows * (2 * self._weight.numel() + (0 if self._unit_stride else patches))
        unfolded = patches * (1 + self._g.is_cuda)  # there once more, for `_multiplied`
        return held + rows * (unfolded + 4 * positions**2 * self._groups)

    def squares(self, layout: Layout) -> torch.Tensor:
        """Of the made gradients where these are small, else as `Products`, added over groups."""
        if not self._makes(self._g[0, 0].numel()):
            found = self._by_group(self._g).squares(self._split(layout))
            return found.view(-1, self._groups).sum(dim=1)
        self._made = self._taps(layout), layout.summed(self._g.flatten(2).sum(dim=2))
        taps, shift = self._made
        # At most one rounding more per tap than one norm of everything.
        weights = sum((square_norms(tap) for tap in taps[1:]), start=square_norms(taps[0]))
        return weights + square_norms(shift) if self._biased else weights

    def magnitudes(self) -> torch.Tensor:
        """See `Part`."""
        return sum_of_norms([self._a.flatten(1), self._g.flatten(1)])

    def drop(self, rows: torch.Tensor) -> None:
        """See `Part`."""
        self._a, self._g = zeroed(self._a, rows), zeroed(self._g, rows)

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """From the gradients that were made for the norms, else as torch's own backward."""
        if self._made is None:
            return self._backward(layout.to_rows(factors))
        taps, shift = self._made
        weights = factors.to(taps.dtype)
        weight = (weights @ taps)[:, None]
        return self._named(self._shaped(weight)[0], weights @ shift)

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """See `Part`."""
        weight = self._shaped(self._taps(layout))
        return self._named(weight, layout.summed(self._g.flatten(2).sum(dim=2)))

    @property
    def _biased(self) -> bool:
        return len(self.parameters) > 1

    def _named(self, weight: torch.Tensor, bias: torch.Tensor) -> list[torch.Tensor]:
        return [weight, bias] if self._biased else [weight]

    def _shaped(self, taps: torch.Tensor) -> torch.Tensor:
        """[units, *weight] from [taps, units, …]."""
        shape = self.parameters[0].shape
        return taps.permute(1, 2, 0).reshape(taps.shape[1], *shape[:2], *shape[2:])

    def _taps(self, layout: Layout) -> torch.Tensor:
        """[taps, units, outputs · inputs of a group]: each unit's gradient, tap by tap."""
        rows = self._shifted() if self._unit_stride else self._unfolded()
        rows = rows.view(len(rows), len(self._g), -1)
        if layout.units is None:
            return rows
        return layout.summed(rows.transpose(0, 1)).transpose(0, 1)

    def _makes(self, positions: int) -> bool:
        """Whether a gradient has fewer numbers than two Gram matrices (as in `Products`)."""
        return 2 * positions**2 * self._groups > self._weight.numel()

    @property
    def _unit_stride(self) -> bool:
        return set(self._stride) == {1}

    def _shifted(self) -> torch.Tensor:
        """[taps, rows · groups, outputs, inputs]: one product for each tap, nothing unfolded.

        With g padded to the input's width, all positions of a tap are one slice of the flat image.
        """
        width, (high, wide), (down, across) = self._a.shape[3], self._kernel, self._dilation
        beside = width - self._g.shape[3]
        g = functional.pad(self._g, (0, beside))
        g = g.view(len(g) * self._groups, -1, g[0, 0].numel())
        g = g[:, :, : g.shape[2] - beside]
        a = self._a.reshape(len(g), -1, self._a[0, 0].numel()).transpose(1, 2)
        starts = [down * i * width + across * j for i in range(high) for j in range(wide)]
        found = g.new_empty(len(starts), len(g), g.shape[1], a.shape[2])
        for place, start in enumerate(starts):
            torch.bmm(g, a[:, start : start + g.shape[2]], out=found[place])
        return found

    def _unfolded(self) -> torch.Tensor:
        """The same from patches."""
        products = self._by_group(self._g)
        found = steady.batched(products.g.transpose(1, 2), products.inputs[0])
        taps = self._kernel[0] * self._kernel[1]
        return found.view(*found.shape[:2], -1, taps).permute(3, 0, 1, 2).contiguous()

    def _by_group(self, g: torch.Tensor) -> Products:
        g = g.reshape(len(g) * self._groups, -1, g[0, 0].numel())
        patches = functional.unfold(
            self._a, self._kernel, dilation=self._dilation, stride=self._stride
        )
        u = patches.view(len(g), -1, g.shape[2])
        return Products([u.transpose(1, 2)], g.transpose(1, 2), len(self.parameters) - 1)

    def _split(self, layout: Layout) -> Layout:
        if self._groups == 1:
            return layout
        groups, n_units = self._groups, layout.n_units * self._groups
        if layout.units is None:
            return Layout(None, n_units, layout.device)
        each = torch.arange(groups, device=layout.units.device)
        return Layout((layout.units[:, None] * groups + each).flatten(), n_units, layout.device)

    def _backward(self, factors: torch.Tensor) -> list[torch.Tensor]:
        biases = len(self.parameters) - 1
        g = self._g * factors.to(self._g.dtype)[:, None, None, None]
        if g.is_cuda:
            return self._multiplied(g)
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

    def _multiplied(self, g: torch.Tensor) -> list[torch.Tensor]:
        """The same by matrix products: cuDNN may transform instead, and round beyond the slack."""
        products, groups = self._by_group(g), self._groups
        g, a = (
            # [groups, rows · positions, …]
            x.unflatten(0, (-1, groups)).transpose(0, 1).flatten(1, 2)
            for x in (products.g, products.inputs[0])
        )
        weight = torch.bmm(g.transpose(1, 2), a).view(self.parameters[0].shape)
        return self._named(weight, g.sum(dim=1).flatten())


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
