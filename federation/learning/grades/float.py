"""The grade "float noise, CSPRNG": float64 sums and Gaussian draws from a secret keystream."""

from collections.abc import Iterable

import torch

from federation.learning.clipping import clip_factors
from federation.learning.engines import Gradients
from federation.learning.grades import Chunk, summed
from federation.learning.noise import Keystream, gaussian


class FloatSum:
    """A float64 vector; noise of deviation noise_multiplier * max_grad_norm."""

    def __init__(self, gradients: Gradients, size: int, max_grad_norm: float) -> None:
        self._gradients, self._size, self._max_grad_norm = gradients, size, max_grad_norm
        self._stream = Keystream()
        self._sum: torch.Tensor | None = None
        self.row_bytes = gradients.row_bytes

    def add(self, chunk: Chunk) -> None:
        """See `NoisedSum`."""
        found = self._gradients.clipped_sum(
            chunk.features, chunk.targets, chunk.layout, self._max_grad_norm
        )
        self._add(found)

    def add_unit(self, blocks: Iterable[Chunk]) -> None:
        """See `NoisedSum`."""
        unit = summed(self._gradients, blocks)[0]
        self._add(unit.mul_(clip_factors(torch.linalg.vector_norm(unit), self._max_grad_norm)))

    def _add(self, found: torch.Tensor) -> None:
        self._sum = found if self._sum is None else self._sum.double().add_(found)

    def release(self, noise_multiplier: float, denominator: float) -> torch.Tensor:
        """See `NoisedSum`."""
        deviation = noise_multiplier * self._max_grad_norm / denominator
        noise = torch.from_numpy(gaussian(self._stream, self._size, deviation))
        total, self._sum = self._sum, None
        return noise if total is None else noise.to(total.device).add_(total, alpha=1 / denominator)


class Float:
    """Fast, and open to attacks on floating point (Mironov 2012) by who sees every bit."""

    name = "float"
    title = "Floating point"
    description = "Gaussian noise in floating point from a secret AES keystream."
    event = "float noise, CSPRNG"

    def sum(self, gradients: Gradients, size: int, max_grad_norm: float) -> FloatSum:
        """See `Grade`."""
        return FloatSum(gradients, size, max_grad_norm)


GRADE = Float()
