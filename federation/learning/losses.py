"""The training losses and their gradients at a model's outputs: one for each kind of target."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from federation.protocol.document import NumberTarget, Protocol


@dataclass(frozen=True)
class Loss:
    """Cross-entropy summed over rows, each weighted by its class's public weight.

    Logits [rows, 1] are a binary problem, [rows, k] one of k classes; targets int64 [rows].
    """

    class_weights: torch.Tensor | None = None

    @classmethod
    def of(cls, class_weights: list[float] | None, device: torch.device | None = None) -> "Loss":
        """With the public weights of a protocol's training section."""
        if class_weights is None:
            return cls()
        return cls(torch.tensor(class_weights, device=device))

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The sum, a scalar."""
        if logits.shape[1] > 1:
            return functional.cross_entropy(
                logits, targets, weight=self.class_weights, reduction="sum"
            )
        return functional.binary_cross_entropy_with_logits(
            logits[:, 0],
            targets.to(logits.dtype),
            weight=None if self.class_weights is None else self.class_weights[targets],
            reduction="sum",
        )

    def slope(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The gradient at the logits in closed form: probability minus truth, times the weight."""
        if logits.shape[1] > 1:
            # Over the first axis of the transpose torch works on many rows at once.
            found = torch.softmax(logits.t().contiguous(), dim=0)
            found = found.scatter_(0, targets[None], -1.0, reduce="add").t()
        else:
            found = torch.sigmoid(logits).sub_(targets[:, None])
        if self.class_weights is None:
            return found
        return found.mul_(self.class_weights[targets][:, None])


@dataclass(frozen=True)
class SquaredError(Loss):
    """Half the squared error summed over rows and over the numbers that each row predicts.

    Outputs [rows, numbers]; targets float32 [rows, numbers], or [rows] for one.

    Its gradient grows with the error; clipping bounds what each unit adds, as with any loss.
    """

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The sum, a scalar."""
        return (outputs - targets.view_as(outputs)).square().sum() / 2

    def slope(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Prediction minus truth."""
        return outputs - targets.view_as(outputs)


def of(protocol: Protocol, device: torch.device | None = None) -> Loss:
    """The loss that the protocol's target and class weights decide."""
    if isinstance(protocol.data.target, NumberTarget):
        return SquaredError()
    return Loss.of(protocol.training.class_weights, device)
