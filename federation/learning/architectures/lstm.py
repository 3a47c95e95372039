"""LSTM: gated memory over windows of a time series, to classify or to forecast."""

from typing import Any

from federation.learning.architectures import Parameters
from federation.learning.recurrence import RecurrentParameters, over_windows
from federation.learning.shapes import Shape, Takes, not_a_window


class Lstm:
    """LSTM layers and a linear one."""

    name = "lstm"
    title = "LSTM"
    description = (
        "A recurrent network with gated memory that reads a window step by step. It classifies "
        "the window, or forecasts what comes `horizon` rows after it: a class, a number, or with "
        "`ahead` the numbers of several rows at once."
    )
    when = (
        "Series in which something far back in the window matters, from some thousand windows a "
        "site. Start with few hidden units: the noise's length grows with their number."
    )
    source = "Hochreiter and Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735"
    takes = Takes.WINDOWS
    Parameters: type[Parameters] = RecurrentParameters
    presets: dict[str, dict[str, Any]] = {
        "small": {"hidden": 32, "layers": 1},
        "flu forecast": {"hidden": 16, "layers": 1},
        "network traffic": {"hidden": 100, "layers": 2},
    }

    def refuses(self, shape: Shape, parameters: RecurrentParameters) -> str | None:
        """Whatever is no window [steps, features]."""
        return not_a_window(shape)

    def layers(self, parameters: RecurrentParameters) -> int:
        """The whole recurrent stack, and the head."""
        return 2

    def build(self, nn: Any, shape: Shape, outputs: int, parameters: RecurrentParameters) -> Any:
        """See `over_windows`."""
        return over_windows(nn, nn.LSTM, shape, outputs, parameters)


ARCHITECTURE = Lstm()
