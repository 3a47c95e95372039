"""What holds a site's steps near the others': added to the noised gradient, so it costs nothing.

Everything here is a function of noised results and public constants: post-processing. Nothing of
it reads a row, so neither sensitivity nor price changes.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Drift:
    """FedProx (Li et al. 2020, arXiv 1812.06127): pull · (weights − start) joins each gradient.

    `weights` are those of the flat vector that the sites share, its first ones; the optimiser
    changes them in place. `start` is the round's model. `offset` is the same in every step: what
    SCAFFOLD corrects the drift by (see `control`).
    """

    weights: torch.Tensor
    start: torch.Tensor
    pull: float = 0.0
    offset: torch.Tensor | None = None

    @classmethod
    def of(cls, weights: torch.Tensor, pull: float, offset: torch.Tensor | None = None) -> "Drift":
        """The drift of a training that begins now, at `weights`."""
        return cls(weights, weights.clone() if pull else weights, pull, offset)

    def corrected(self, noised: torch.Tensor) -> torch.Tensor:
        """The noised gradient with its corrections, in place; without any the very same numbers."""
        if not self.pull and self.offset is None:
            return noised
        shared = noised[: len(self.weights)]
        if self.pull:
            shared.add_(self.weights - self.start, alpha=self.pull)
        if self.offset is not None:
            shared.add_(self.offset)
        return noised
