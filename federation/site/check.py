"""`check`: what stands in the way of a round, one line for each thing, with advice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from federation.learning.faults import DeviceAbsent
from federation.protocol.contract import ContractError
from federation.protocol.document import Protocol
from federation.protocol.keys import KeyFileError, SigningKey
from federation.site.approvals import Approvals
from federation.site.assembly import signed_client, utc_now
from federation.site.config import ConfigError, Dataset, SiteConfig, read_config
from federation.site.datasets import NOBODY, holdout_secret
from federation.site.entry_points import DEVICE, load
from federation.site.fitting import anybody_left
from federation.site.folder import Folder
from federation.site.journal import JournalBroken, JournalFull, read_entries
from federation.site.machine import check_machine
from federation.site.pin import NotEnrolled, Pin
from federation.site.refused import Refused
from federation.site.rowstore import RowsUnwritable
from federation.site.transport.client import (
    AccessRefused,
    Client,
    HubAbsent,
    RequestRejected,
)
from federation.site.transport.receiving import Receiving
from federation.site.witness import ADVICE, Verdict, read_sightings

SKEW_SECONDS = 30.0  # the hub refuses requests that are more than 60 s off


@dataclass(frozen=True)
class Finding:
    """One line of the answer."""

    what: str
    good: bool
    text: str

    def __str__(self) -> str:
        return f"{'✓' if self.good else '✗'} {self.what}: {self.text}"


def check(
    folder: Folder, protocol: Protocol | None = None, clock: Callable[[], datetime] = utc_now
) -> Iterator[Finding]:
    """Look at everything that a round needs; yields findings as they come.

    Datasets are held against the approved protocols that this site knows, and against `protocol`
    when one is given. No finding holds a value or a count from the data.
    """
    config, findings = _tried("configuration", lambda: read_config(folder), str(folder.config))
    yield findings
    key, finding = _tried("key", lambda: SigningKey.load(folder.key), "readable by its owner only")
    yield finding
    pin, finding = _tried("enrolment", lambda: Pin.read(folder), "the hub's key is pinned")
    yield finding
    yield from _journal(folder)
    yield from _witness(folder)
    if config and key:
        contracts = _protocols(folder, pin, protocol)
        yield _device(config)
        yield from _machine(config, pin, contracts)
        yield from _datasets(config, holdout_secret(key), contracts, folder.rows)
    if config and key and pin:
        yield from _hub(signed_client(pin, key, config), pin, clock)


def _tried(what: str, read: Callable[[], Any], text: str) -> tuple[Any, Finding]:
    try:
        return read(), Finding(what, True, text)
    except (ConfigError, KeyFileError, NotEnrolled) as error:
        return None, Finding(what, False, str(error))


def _journal(folder: Folder) -> Iterator[Finding]:
    if not folder.journal.exists():
        yield Finding("journal", True, "none yet; the first run makes it")
        return
    try:
        read_entries(folder.journal)
    except (JournalBroken, JournalFull) as error:
        yield Finding("journal", False, str(error))
    else:
        yield Finding("journal", True, "its chain verifies")


def _witness(folder: Folder) -> Iterator[Finding]:
    """What was seen of the hub's ledger; nothing where there is no journal, or none to be read."""
    try:
        seen = read_sightings(folder.journal) if folder.journal.exists() else ()
    except (JournalBroken, JournalFull):
        return  # said of the journal already
    if seen and seen[-1].verdict == Verdict.REFUSED:
        yield Finding("hub's ledger", False, f"{seen[-1].why}; {ADVICE}")
    elif seen:
        yield Finding("hub's ledger", True, f"{seen[-1].size} entries seen, none was changed since")


Contracts = list[tuple[str, str | None, Protocol]]  # study, dataset (None: any), protocol


def _protocols(folder: Folder, pin: Pin | None, extra: Protocol | None) -> Contracts:
    found: Contracts = [] if extra is None else [(extra.name, None, extra)]
    if pin is not None and folder.protocols.exists():
        approvals = Approvals(folder.protocols, pin.hub_key, pin.institution)
        found += [
            (known.statement.study, known.statement.dataset, known.protocol)
            for known in approvals.known()
        ]
    return found


def _device(config: SiteConfig) -> Finding:
    """Where a round would be computed: `auto` does not complain that it finds no GPU."""
    try:
        return Finding("device", True, load(DEVICE)(config.machine.device))
    except DeviceAbsent as error:
        return Finding("device", False, str(error))


def _machine(config: SiteConfig, pin: Pin | None, contracts: Contracts) -> Iterator[Finding]:
    """Whether what was approved was planned for this class of machine; nothing where none was."""
    for study, _, protocol in contracts:
        if pin is None or not protocol.training.classes:
            continue
        try:
            check_machine(config.machine, protocol, pin.institution)
        except Refused as refused:
            yield Finding(f"machine for {study}", False, refused.local)
        else:
            kind = config.machine.kind or "of no class"
            yield Finding(f"machine for {study}", True, f"{kind}, as it was planned for")


def _datasets(
    config: SiteConfig, secret: bytes, contracts: Contracts, rows: Path
) -> Iterator[Finding]:
    if not config.dataset:
        yield Finding("datasets", False, "none is lent; add a [[dataset]] table to site.toml")
    for dataset in config.dataset:
        yield _readable(dataset)
        for study, name, protocol in contracts:
            if name in (None, dataset.name):
                yield Finding(
                    f"dataset {dataset.name} for study {study}",
                    *_fits(dataset, protocol, secret, rows),
                )


def _readable(dataset: Dataset) -> Finding:
    what = f"dataset {dataset.name}"
    if dataset.file is not None:
        try:
            with dataset.file.open("rb") as file:
                file.read(1)
        except OSError as error:
            advice = f"{dataset.file} cannot be opened ({type(error).__name__}); correct `file`"
            return Finding(what, False, advice)
    try:
        dataset.version()
    except ContractError as error:
        return Finding(what, False, str(error))
    return Finding(what, True, f"the source ({dataset.kind}) can be found")


def _fits(dataset: Dataset, protocol: Protocol, secret: bytes, rows: Path) -> tuple[bool, str]:
    try:
        if anybody_left(dataset, protocol, secret, rows):
            return True, "fits the data contract"
    except (ContractError, RowsUnwritable) as error:
        return False, str(error)
    return False, NOBODY


def _hub(client: Client, pin: Pin, clock: Callable[[], datetime]) -> Iterator[Finding]:
    try:
        hello = Receiving(client).hello()
    except HubAbsent as error:
        yield Finding("hub", False, f"{pin.url} does not answer ({error}); check the network")
    except (AccessRefused, RequestRejected) as error:
        yield Finding("hub", False, f"{pin.url} refuses this site: {error}")
    else:
        yield _identity(hello, pin)
        yield _skew(hello, clock())
    finally:
        client.close()


def _identity(hello: dict[str, Any], pin: Pin) -> Finding:
    if hello.get("hub_key") != pin.hub_key:
        text = "another key than the pinned one; ask the hub's operator before you enrol anew"
        return Finding("hub", False, text)
    if hello.get("institution") != pin.institution:
        return Finding("hub", False, "it takes us for another institution; enrol anew")
    return Finding("hub", True, f"{pin.url} knows us as {pin.institution}")


def _skew(hello: dict[str, Any], now: datetime) -> Finding:
    try:
        skew = (now - datetime.fromisoformat(str(hello.get("hub_time")))).total_seconds()
    except (ValueError, TypeError):
        return Finding("clock", False, "the hub tells no time; update the hub")
    if abs(skew) > SKEW_SECONDS:
        return Finding("clock", False, f"{skew:+.0f} s off the hub's; set this machine's clock")
    return Finding("clock", True, "agrees with the hub's")
