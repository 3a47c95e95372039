"""Builds the parts of a running site from its folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from federation.protocol.http_signatures import sign_request
from federation.protocol.keys import SigningKey
from federation.site.approvals import Approvals
from federation.site.auditing import Auditing
from federation.site.coins import CoinBox
from federation.site.config import SiteConfig, read_config
from federation.site.datasets import Datasets, holdout_secret
from federation.site.egress import Gate
from federation.site.folder import Folder
from federation.site.journal import Journal
from federation.site.kept import Kept
from federation.site.orders import Orders
from federation.site.outbox import Outbox
from federation.site.pin import Pin
from federation.site.rounds import Executor, Parts
from federation.site.statements import Statements
from federation.site.transport.client import Client
from federation.site.transport.polling import Polling
from federation.site.transport.receiving import Receiving
from federation.site.witness import Witness


def utc_now() -> datetime:
    """The site's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Site:
    """A site ready to work."""

    pin: Pin
    client: Client
    polling: Polling
    executor: Executor
    parts: Parts
    statements: Statements

    def close(self) -> None:
        """Let go of the files."""
        self.parts.orders.close()
        self.parts.witness.close()
        self.parts.journal.close()


def signed_client(
    pin: Pin, key: SigningKey, config: SiteConfig, clock: Callable[[], datetime] = utc_now
) -> Client:
    """The connection to the pinned hub; site.toml may name another address for the same hub."""

    def sign(
        *, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        return sign_request(
            method=method,
            url=url,
            headers=headers,
            body=body,
            key=key,
            key_id=pin.institution,
            now=clock(),
        )

    hub = config.hub
    return Client(hub.url or pin.url, sign, proxy=hub.proxy, ca_file=hub.ca_file)


def assemble(folder: Folder, clock: Callable[[], datetime] = utc_now) -> Site:
    """Read the folder and connect the parts; nothing is sent yet.

    Raises:
        ConfigError, NotEnrolled, KeyFileError, JournalBroken, JournalFull: with advice.
    """
    config, pin, key = read_config(folder), Pin.read(folder), SigningKey.load(folder.key)
    journal, outbox = Journal(folder.journal), Outbox(folder.outbox)
    outbox.forget_expired(clock())
    client = signed_client(pin, key, config, clock)
    receiving = Receiving(client)
    gate = Gate(client, key=key, site=pin.institution, journal=journal, outbox=outbox, clock=clock)
    witness = Witness(folder.journal, pin.hub_key, clock)
    statements = Statements(gate, receiving, journal, witness)

    def arrived() -> None:
        gate.offer(config)
        statements.arrived()

    polling = Polling(receiving, arrived, between=statements.between, seen=lambda: witness.size)
    parts = Parts(
        config=config,
        pin=pin,
        journal=journal,
        orders=Orders(folder.journal),
        witness=witness,
        outbox=outbox,
        approvals=Approvals(folder.protocols, pin.hub_key, pin.institution),
        datasets=Datasets(holdout_secret(key), folder.rows),
        auditing=Auditing(CoinBox(folder.coins), config.limits),
        kept=Kept(folder.kept, journal),
        receiving=receiving,
        gate=gate,
        clock=clock,
        stopping=lambda: polling.stopping,
    )
    return Site(pin, client, polling, Executor(parts), parts, statements)
