"""SCAFFOLD (Karimireddy et al. 2020, arXiv 1910.06378): averaging with control variates."""

from collections.abc import Mapping

from federation.learning import control
from federation.learning.strategies.fedavg import FedAvg
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors


class Scaffold(FedAvg):
    """Gives out, beside the model, the direction that all sites' steps take together.

    Each site adds what that differs from its own last direction to its noised gradients, so that
    unlike sites do not drift apart. Nothing more leaves a site than its noised update.
    """

    name = "scaffold"
    title = "SCAFFOLD"
    description = (
        "Federated averaging in which each site's steps are corrected for how its last update "
        "differed from all sites'. The corrections carry the noise of those updates."
    )
    continues = True

    def refuses(self, protocol: Protocol) -> str | None:
        """See `Strategy`."""
        if protocol.training.optimiser != "sgd":
            return "reckons with plain steps; choose training.optimiser 'sgd', or fedavg"
        if protocol.training.proximal:
            return "corrects drift already; set training.proximal to 0, or choose fedavg"
        if any(plan.local_steps for plan in protocol.training.classes.values()):
            return "needs as many steps at every site; leave them out of training.classes"
        if protocol.audit:
            return "gives updates that canaries cannot be found in; leave out audit, or take fedavg"
        return None

    def begun(self, model: Tensors) -> Tensors:
        """See `Strategy`: a control of zeros beside each tensor."""
        return control.begun(model)

    def model(self, given: Tensors) -> Tensors:
        """See `Strategy`: all but the control."""
        return control.parted(given)[0]

    def aggregate(
        self, given: Tensors, updates: Mapping[str, Tensors], weights: Mapping[str, float]
    ) -> Tensors:
        """See `Strategy`. Others of `weights` keep their part of the control."""
        model, direction = control.parted(given)
        made = super().aggregate(model, updates, weights)
        total = sum(weights[site] for site in sorted(weights))
        shares = {site: weights[site] / total for site in updates}
        return control.joined(made, control.moved(direction, updates, shares))


STRATEGY = Scaffold()
