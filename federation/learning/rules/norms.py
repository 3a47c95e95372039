"""The rule for GroupNorm and LayerNorm: scale and shift of what was normalised within a row."""

import torch
from torch import nn
from torch.nn import functional

from federation.learning.rules import Part, Tap
from federation.learning.rules.made import MadePart
from federation.learning.rules.taps import HookTap


class NormRule:
    """Both normalise each row by itself, so no row sees another."""

    kinds: tuple[type[nn.Module], ...] = (nn.GroupNorm, nn.LayerNorm)

    def refuses(self, module: nn.Module) -> str | None:
        """Never."""
        return None

    def tap(self, module: nn.Module) -> Tap:
        """By a forward hook; the normalised values are computed again."""
        make = _group if isinstance(module, nn.GroupNorm) else _layer
        return HookTap(module, make)


def _group(module: nn.GroupNorm, a: torch.Tensor, g: torch.Tensor) -> Part:
    normal = functional.group_norm(a, module.num_groups, eps=module.eps)
    # [rows, channels, positions]
    return _part(module, (normal * g).flatten(2).sum(dim=2), g.flatten(2).sum(dim=2))


def _layer(module: nn.LayerNorm, a: torch.Tensor, g: torch.Tensor) -> Part:
    shape = tuple(module.normalized_shape)
    normal = functional.layer_norm(a, shape, eps=module.eps)
    # [rows, positions, *shape]
    by_row = len(a), -1, *shape
    return _part(module, (normal * g).reshape(by_row).sum(dim=1), g.reshape(by_row).sum(dim=1))


def _part(module: nn.Module, scales: torch.Tensor, shifts: torch.Tensor) -> Part:
    parameters = list(module.parameters(recurse=False))
    return MadePart(parameters, [scales, shifts][: len(parameters)])


RULE = NormRule()
