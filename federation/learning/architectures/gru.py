"""GRU: a lighter gated memory over windows of a time series, to classify or to forecast."""

from typing import Any

from federation.learning.architectures import Parameters
from federation.learning.recurrence import RecurrentParameters, over_windows
from federation.learning.shapes import Shape, Takes, not_a_window


class Gru:
    """GRU layers and a linear one."""

    name = "gru"
    title = "GRU"
    description = (
        "A recurrent network with one gate fewer than the LSTM: three quarters of its weights "
        "for the same hidden size. It classifies a window, or forecasts what comes after it."
    )
    when = (
        "Short windows and few of them: fewer weights share the same noise. Otherwise as the LSTM."
    )
    source = "Cho et al. 2014, arXiv 1406.1078"
    takes = Takes.WINDOWS
    Parameters: type[Parameters] = RecurrentParameters
    presets: dict[str, dict[str, Any]] = {
        "small": {"hidden": 32, "layers": 1},
        "flu forecast": {"hidden": 16, "layers": 1},
    }

    def refuses(self, shape: Shape, parameters: RecurrentParameters) -> str | None:
        """Whatever is no window [steps, features]."""
        return not_a_window(shape)

    def layers(self, parameters: RecurrentParameters) -> int:
        """The whole recurrent stack, and the head."""
        return 2

    def build(self, nn: Any, shape: Shape, outputs: int, parameters: RecurrentParameters) -> Any:
        """See `over_windows`."""
        return over_windows(nn, nn.GRU, shape, outputs, parameters)


ARCHITECTURE = Gru()
