"""Federated averaging (McMahan et al. 2017, arXiv 1602.05629) with public weights."""

from collections.abc import Mapping

import numpy as np

from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors


class FedAvg:
    """Adds the weighted mean of the sites' updates; weights are declared, never exact counts."""

    name = "fedavg"
    title = "Federated averaging"
    description = "The weighted mean of the sites' updates, by equal or by declared weights."
    continues = False

    def refuses(self, protocol: Protocol) -> str | None:
        """See `Strategy`: never."""
        return None

    def begun(self, model: Tensors) -> Tensors:
        """See `Strategy`: the model alone."""
        return model

    def model(self, given: Tensors) -> Tensors:
        """See `Strategy`."""
        return given

    def aggregate(
        self, given: Tensors, updates: Mapping[str, Tensors], weights: Mapping[str, float]
    ) -> Tensors:
        """See `Strategy`. Sites are added in the order of their names, so the bytes repeat."""
        sites = sorted(updates)
        total = sum(weights[site] for site in sites)
        if not total > 0:
            raise ValueError(
                "no update with a weight above zero; wait for a contribution before aggregating"
            )
        shares = {site: weights[site] / total for site in sites}
        return {name: _moved(array, name, updates, shares) for name, array in given.items()}


def _moved(
    array: np.ndarray, name: str, updates: Mapping[str, Tensors], shares: Mapping[str, float]
) -> np.ndarray:
    moved = array.astype(np.float64)
    for site, share in shares.items():
        moved += share * updates[site][name]
    return moved.astype(array.dtype)


STRATEGY = FedAvg()
