"""Control variates of SCAFFOLD: what all sites' steps drift to, and what this site's do.

Karimireddy et al. 2020 (arXiv 1910.06378), option II, on noised gradients as in Noble et al. 2022
(arXiv 2111.09278). Both are kept in the unit of a whole round, as minus an update: with K steps of
learning rate η the paper's c is ours / (K·η). A site's own then comes out as the sum of its last
used round's noised gradients, whatever corrections that round had: −Δ − (all − own).

Everything here is a function of released updates alone, those of the site or of all sites.
"""

from collections.abc import Mapping

import numpy as np

from federation.protocol.tensors import Tensors

PREFIX = "control/"


def begun(model: Tensors) -> Tensors:
    """The model, and beside each of its tensors a control of zeros."""
    return joined(model, {name: np.zeros_like(array) for name, array in model.items()})


def joined(model: Tensors, control: Tensors) -> Tensors:
    """Both in one, the control under its prefix."""
    return model | {f"{PREFIX}{name}": array for name, array in control.items()}


def parted(tensors: Tensors) -> tuple[Tensors, Tensors]:
    """The tensors without any control, and the control by the names of what it is for."""
    control = {n.removeprefix(PREFIX): a for n, a in tensors.items() if n.startswith(PREFIX)}
    return {n: a for n, a in tensors.items() if not n.startswith(PREFIX)}, control


def moved(control: Tensors, updates: Mapping[str, Tensors], shares: Mapping[str, float]) -> Tensors:
    """The sites' control after a round: Σ shareᵢ · ownᵢ, of which those that took part are new.

    `shares` are those of the sites in `updates`, of 1 for all that were asked; they stay as they
    are until the control begins anew. Sites are added in the order of their names, so the bytes
    repeat.
    """
    kept = 1.0 - sum(shares[site] for site in sorted(updates))
    found = {}
    for name, array in control.items():
        total = kept * array.astype(np.float64)
        for site in sorted(updates):
            total -= shares[site] * updates[site][name]
        found[name] = total.astype(array.dtype)
    return found


def own(correction: Tensors, update: Tensors) -> Tensors:
    """A site's control after a round that had `correction` (all − own) and gave `update`."""
    return {name: -update[name] - array for name, array in correction.items()}
