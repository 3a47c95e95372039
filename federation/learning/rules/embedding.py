"""The rule for Embedding: gradients added where a unit looks up the same entry."""

import torch
from torch import nn

from federation.learning.layout import Layout
from federation.learning.rules import Part, Tap
from federation.learning.rules.made import zeroed
from federation.learning.rules.rounding import UNIT, square_norms, sum_of_norms
from federation.learning.rules.taps import HookTap


class EmbeddingPart:
    """Indices [rows, S] and output gradients [rows, S, width]."""

    slack = 0.0  # it is within the squares

    def __init__(self, module: nn.Embedding, indices: torch.Tensor, g: torch.Tensor) -> None:
        self.parameters = list(module.parameters())
        self._entries = module.num_embeddings
        self._indices = indices.reshape(len(indices), -1)
        self._g = g.reshape(*self._indices.shape, -1)
        if module.padding_idx is not None:
            padding = self._indices == module.padding_idx % self._entries
            self._g = self._g.masked_fill(padding[:, :, None], 0.0)

    @property
    def numbers(self) -> int:
        """See `Part`."""
        return 4 * self._g.numel() + 6 * self._indices.numel()

    def squares(self, layout: Layout) -> torch.Tensor:
        """The sum, over the entries that a unit looks up, of their gradients' squared norms."""
        units, width = layout.named(), self._g.shape[2]
        norms = square_norms(self._g).sqrt_().sum(dim=1)
        most = layout.summed(norms).square_()
        keys = (units[:, None] * self._entries + self._indices).flatten()
        entries, places = torch.unique(keys, return_inverse=True)
        sums = self._g.new_zeros(len(entries), width).index_add_(0, places, self._g.flatten(0, 1))
        found = torch.zeros_like(most)
        found.index_add_(0, entries // self._entries, square_norms(sums))
        # Here and in `weighted` sums of up to as many terms as the unit has positions.
        positions = layout.counts * self._indices.shape[1]
        return found + 4 * (positions + 16) * UNIT * most

    def magnitudes(self) -> torch.Tensor:
        """See `Part`."""
        return sum_of_norms([self._g.flatten(1)])

    def drop(self, rows: torch.Tensor) -> None:
        """See `Part`."""
        self._g = zeroed(self._g, rows)

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """[entries, width]."""
        g = self._g * layout.to_rows(factors).to(self._g.dtype)[:, None, None]
        found = g.new_zeros(self._entries, g.shape[2])
        return [found.index_add_(0, self._indices.flatten(), g.flatten(0, 1))]

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """[units, entries, width]."""
        units, width = layout.named(), self._g.shape[2]
        places = (units[:, None] * self._entries + self._indices).flatten()
        found = self._g.new_zeros(layout.n_units * self._entries, width)
        found.index_add_(0, places, self._g.flatten(0, 1))
        return [found.view(layout.n_units, self._entries, width)]


class EmbeddingRule:
    """Those that neither rewrite their weights nor look at the other rows of the batch."""

    kinds: tuple[type[nn.Module], ...] = (nn.Embedding,)

    def refuses(self, module: nn.Module) -> str | None:
        """With max_norm, scale_grad_by_freq or sparse."""
        assert isinstance(module, nn.Embedding)  # noqa: S101 - by `kinds`
        if module.max_norm is not None:
            return "max_norm rewrites the weights while it looks them up; leave it out"
        if module.scale_grad_by_freq:
            return "scale_grad_by_freq mixes the rows of a batch; leave it out"
        return "sparse gradients cannot be noised; leave sparse out" if module.sparse else None

    def tap(self, module: nn.Module) -> Tap:
        """By a forward hook."""
        return HookTap(module, _part)


def _part(module: nn.Embedding, indices: torch.Tensor, g: torch.Tensor) -> Part:
    return EmbeddingPart(module, indices, g)


RULE = EmbeddingRule()
