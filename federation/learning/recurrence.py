"""What the LSTM and the GRU share: their parameters, and a module that reads a whole window."""

from typing import Annotated, Any, Literal

from pydantic import Field

from federation.learning.architectures import Parameters
from federation.learning.shapes import Shape


class RecurrentParameters(Parameters):
    """The size of the memory, and what of it the output layer sees."""

    hidden: Annotated[int, Field(ge=16, le=1024, multiple_of=4)] = Field(
        default=32,
        title="Hidden size",
        description="Numbers that each layer remembers from one step to the next; in fours.",
    )
    layers: Annotated[int, Field(ge=1, le=4)] = Field(
        default=1, title="Layers", description="How many recurrent layers stand on each other."
    )
    reads: Literal["last", "mean"] = Field(
        default="last",
        title="Read out",
        description=(
            "What the output layer sees: the last step's state, or the mean of all, which serves "
            "where it does not matter when in the window something happens."
        ),
    )


def over_windows(
    nn: Any, kind: Any, shape: Shape, outputs: int, parameters: RecurrentParameters
) -> Any:
    """`kind` (nn.LSTM or nn.GRU) over [steps, features], and a linear layer on what it remembers.

    State names: layer.weight_ih_l0, …, head.weight, head.bias.
    """

    class OverWindows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = kind(
                shape[1], parameters.hidden, num_layers=parameters.layers, batch_first=True
            )
            self.head = nn.Linear(parameters.hidden, outputs)

        def forward(self, rows: Any) -> Any:
            states = self.layer(rows.reshape(-1, *shape))[0]
            return self.head(states[:, -1] if parameters.reads == "last" else states.mean(dim=1))

    return OverWindows()
