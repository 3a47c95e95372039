"""`baseline`: what this site's rows give alone, beside the federated model, for its own eyes.

Nothing here holds the sending side, the journal's charges or a log: the figures go to the
terminal and nowhere else, so nothing leaves and nothing is charged.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federation.learning.faults import DeviceAbsent
from federation.protocol.contract import ContractError
from federation.protocol.document import NumberTarget, Protocol
from federation.protocol.keys import SigningKey
from federation.protocol.machines import own
from federation.protocol.messages import ApprovedProtocol
from federation.protocol.tensors import TensorError, Tensors, unpack
from federation.site.approvals import Approvals
from federation.site.config import ConfigError, Dataset, read_config
from federation.site.datasets import Datasets, Split, holdout_secret
from federation.site.entry_points import DEVICE, FIRST_MODEL, MEASURED, TRAINED_ALONE, load
from federation.site.folder import Folder
from federation.site.journal import Journal
from federation.site.kept import Kept
from federation.site.pin import Pin
from federation.site.rowstore import RowsUnwritable

HELD_OUT = 0.2  # of the units, where the protocol holds out none
CLASSES = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "log_loss": "log loss",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
NUMBERS = {"mae": "mean error", "rmse": "RMSE", "bias": "bias"}  # in the target's own unit
FOR_YOU = """\
For your own eyes. These figures are computed here from your rows and carry no noise: nothing of
them is sent, logged or kept, and nothing is charged, because nothing leaves. Do not pass them on.
"""
WANTING = (
    "Download the federated model from the study's page, and add --model FILE to see it here.\n"
)


class CannotCompare(ConfigError):
    """The comparison cannot be made; the text says what is missing and what to do."""


@dataclass(frozen=True)
class Case:
    """One study as this site approved it, with its rows."""

    statement: ApprovedProtocol
    protocol: Protocol
    rows: Split
    seen: bool  # whether the federated training saw the rows that are measured on
    machine: Mapping[str, Any]  # where to compute, and in how much memory


def baseline(folder: Folder, study: str | None, model: Path | None) -> int:
    """Print the comparison; 0 when it was made.

    Raises FolderBusy while a worker runs here, CannotCompare, and what reading the folder raises.
    """
    pin, key = Pin.read(folder), SigningKey.load(folder.key)
    with folder.alone():
        approvals = Approvals(folder.protocols, pin.hub_key, pin.institution)
        statement = _chosen(approvals, study)
        case = _case(folder, statement, key)
        federated = _federated(folder, case, model) if model else None
        sys.stdout.write(f"{FOR_YOU}\n{_about(case)}\n{_head(case.protocol)}")
        for name, tensors in _models(case, pin.institution, federated):
            found = load(MEASURED)(case.protocol, tensors, case.rows.holdout, **case.machine)
            sys.stdout.write(_line(name, case.protocol, found))
        if federated is None:
            sys.stdout.write(
                "\nThe federated model: download it from the study's page, and add --model FILE.\n"
            )
    return 0


def _chosen(approvals: Approvals, study: str | None) -> ApprovedProtocol:
    known = {found.statement.study: found.statement for found in approvals.known()}
    if study is None and len(known) == 1:
        return next(iter(known.values()))
    if study not in known:
        raise CannotCompare(
            f"choose a study with --study: {', '.join(sorted(known)) or 'none is known here yet'} "
            "(a site knows a study from its first assignment on)"
        )
    return known[study]


def _case(folder: Folder, statement: ApprovedProtocol, key: SigningKey) -> Case:
    dataset = _lent(folder, statement)
    protocol = own(statement.protocol, statement.institution)
    seen = protocol.evaluation.holdout == 0
    if seen:
        evaluation = protocol.evaluation.model_copy(update={"holdout": HELD_OUT})
        protocol = protocol.model_copy(update={"evaluation": evaluation})
    try:
        rows = Datasets(holdout_secret(key), folder.rows).read(dataset, protocol)
    except RowsUnwritable as error:
        raise CannotCompare(str(error)) from error
    except ContractError as error:
        raise CannotCompare(f"dataset {dataset.name!r} does not fit the study: {error}") from error
    return Case(statement, protocol, rows, seen, _machine(folder))


def _machine(folder: Folder) -> Mapping[str, Any]:
    """As in site.toml, once the device is known to be there."""
    machine = read_config(folder).machine
    try:
        load(DEVICE)(machine.device)
    except DeviceAbsent as error:
        raise CannotCompare(str(error)) from error
    return {"device": machine.device, "chunk_bytes": machine.chunk_bytes}


def _lent(folder: Folder, statement: ApprovedProtocol) -> Dataset:
    dataset = read_config(folder).lent(statement.dataset)
    if dataset is None:
        raise CannotCompare(f"site.toml lends no dataset {statement.dataset!r} any more")
    return dataset


def _federated(folder: Folder, case: Case, file: Path) -> Tensors:
    """The downloaded model, with this site's own layers behind it where the study has such."""
    first = load(FIRST_MODEL)(case.statement.protocol)
    try:
        shared = unpack(file.read_bytes(), first.shared)
    except OSError as error:
        raise CannotCompare(f"{file} cannot be read ({type(error).__name__})") from error
    except TensorError as error:
        raise CannotCompare(f"{file} is no model of this study: {error}") from error
    return shared | _own(folder, case.statement, first)


def _own(folder: Folder, statement: ApprovedProtocol, first: Any) -> Tensors:
    """This site's own layers as they are now; none where all layers are shared."""
    if not first.own:
        return {}
    journal = Journal(folder.journal)
    try:
        kept = Kept(folder.kept, journal)
        found = kept.newest(statement.study, statement.protocol_digest, first.kept)
        return {name: found[name] for name in first.own}
    finally:
        journal.close()


def _models(
    case: Case, institution: str, federated: Tensors | None
) -> Iterator[tuple[str, Tensors]]:
    """(name, whole model), each made when its turn comes."""
    protocol, data = case.protocol, case.rows.train
    first = load(FIRST_MODEL)(protocol)
    yield "before training", first.shared | first.own
    for name, noised in (("alone, without noise", False), ("alone, the study's noise", True)):
        done = _progress(name, protocol.rounds.count)
        yield (
            name,
            load(TRAINED_ALONE)(
                protocol, institution, data, noised=noised, round_done=done, **case.machine
            ),
        )
    if federated is not None:
        yield "federated", federated


def _progress(name: str, rounds: int) -> Callable[[int], None]:
    """Counts rounds on the line that the figures will take, on a terminal only."""

    def said(number: int) -> None:
        if sys.stdout.isatty():
            sys.stdout.write(f"\r{name}: round {number} of {rounds}\033[K\r")
            sys.stdout.flush()

    return said


def _about(case: Case) -> str:
    protocol, statement = case.protocol, case.statement
    share = f"{protocol.evaluation.holdout:.0%} of your units"
    rows = f"Measured on {share}, the study's hold-out, which no training saw."
    if case.seen:
        rows = (
            f"The study holds nothing out. Measured on {share}, which the trainings alone did not\n"
            "see; the federated one did, with its noise."
        )
    return (
        f"Study {statement.study}, dataset {statement.dataset}, protocol "
        f"{statement.protocol_digest[:12]}…: {protocol.rounds.count} rounds of "
        f"{protocol.training.local_steps} steps.\n{rows}\n"
    )


def _figures(protocol: Protocol) -> Mapping[str, str]:
    """What is shown, and the head of its column; of more than two classes each one's recall."""
    target = protocol.data.target
    if isinstance(target, NumberTarget):
        return NUMBERS
    if len(target.classes) == 2:
        return CLASSES
    # A long label is cut: the columns stand in the order of the protocol's classes.
    recalls = {f"recalls {k}": f"of {label}"[:12] for k, label in enumerate(target.labels)}
    return {"accuracy": "accuracy", "log_loss": "log loss"} | recalls


def _head(protocol: Protocol) -> str:
    figures = _figures(protocol)
    told = "Under “of …”: the recall of each class.\n" if "recalls 0" in figures else ""
    return told + f"{'':<26}" + "".join(f"{t:>13}" for t in figures.values()) + "\n"


def _line(name: str, protocol: Protocol, found: dict[str, Any]) -> str:
    every = {f"recalls {k}": recall for k, recall in enumerate(found.get("recalls") or ())}
    shown = [(found | every).get(key) for key in _figures(protocol)]
    cells = "".join(f"{'–' if value is None else format(value, '.3f'):>13}" for value in shown)
    return f"{name:<26}{cells}\n"
