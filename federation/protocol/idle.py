"""Settings of a protocol that do nothing beside its others: a sentence each, for who wrote them."""

from federation.protocol.document import Protocol


def idle(protocol: Protocol) -> list[str]:
    """What may as well be left out, with the key that it is about. Refused is none of it."""
    training = protocol.training
    stated = [plan.local_steps for plan in training.classes.values()]
    if max([training.local_steps, *(steps or 0 for steps in stated)]) > 1:
        return []
    why = "does nothing with one local step, for each round starts anew; make more local steps"
    found = []
    if training.optimiser == "momentum":
        found.append(f'training.optimiser "momentum" {why}, or take "sgd"')
    if training.proximal:
        found.append(f"training.proximal {why}, or set it to 0")
    return found
