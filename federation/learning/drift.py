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
    changes them in place. `start` is the round's model.
    """

    weights: torch.Tensor
    start: torch.Tensor
    pull: float = 0.0

    @classmethod
    def of(cls, weights: torch.Tensor, pull: float) -> "Drift":
        """The drift of a training that begins now, at `weights`."""
        return cls(weights, weights.clone() if pull else weights, pull)

    def corrected(self, noised: torch.Tensor) -> torch.Tensor:
        """The noised gradient with its corrections, in place; without any the very same numbers."""
        if self.pull:
            shared = noised[: len(self.weights)]
            shared.add_(self.weights - self.start, alpha=self.pull)
        return noised
