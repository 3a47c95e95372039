"""The institution's rows under a protocol: read once from their source, then drawn from files."""

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.protocol.canonical import canonical_json, digest
from federation.protocol.contract import Block, ContractError, encode_block
from federation.protocol.document import Protocol
from federation.protocol.keys import SigningKey
from federation.site import rowstore
from federation.site.config import Dataset
from federation.site.rowstore import Split

__all__ = ["Datasets", "Split", "encoded_blocks", "holdout_secret"]

NOBODY = (
    "it fits the data contract, but leaves nobody to train on: every row is dropped or held out, "
    "or every series is too short for a window, so that a round would cost and give noise alone; "
    "compare the study's rules for missing values and its windows with the data"
)
FORM = "6"  # of the stored rows; changed with their layout or their encoding
KEPT = 2  # contracts per dataset whose rows stay on disk


def holdout_secret(key: SigningKey) -> bytes:
    """32 bytes that decide the hold-out, derived from the site's key (HKDF, RFC 5869).

    Nobody else can say who was held out, and the same key gives the same split in every round.
    """
    derive = HKDF(SHA256(), 32, salt=None, info=b"cloister-holdout-v1")
    return derive.derive(key.private.private_bytes_raw())


def nobody_asks() -> None:
    """The default of `asked`: the reading is not to be stopped."""


class Datasets:
    """Opens data sources; only the round executor calls it, after the charge is on disk."""

    def __init__(self, secret: bytes, folder: Path) -> None:
        """`folder` holds the encoded rows; whatever a killed process left there goes."""
        self._secret, self._folder = secret, folder
        self._open: dict[str, Split] = {}
        for left in folder.glob(".*.part"):
            rowstore.remove(left)

    def read(
        self, dataset: Dataset, protocol: Protocol, asked: Callable[[], object] = nobody_asks
    ) -> Split:
        """The split rows of `dataset` under `protocol`'s contract.

        `asked` is called between blocks while the source is read: it may raise to stop that.

        Raises:
            ContractError: the rows do not fit; its text holds no value and no count.
            RowsUnwritable: there is no room for the encoded rows.
        """
        seen = dataset.version()
        name = self._name(dataset, protocol, seen)
        if name not in self._open:
            self._open = {name: self._stored(name, dataset, protocol, asked)}
            self._forget(dataset, seen)
        (self._folder / name).touch()
        return self._open[name]

    def _stored(
        self, name: str, dataset: Dataset, protocol: Protocol, asked: Callable[[], object]
    ) -> Split:
        folder = self._folder / name
        found = rowstore.read(folder, protocol.data)
        if found is not None:
            return found
        rowstore.remove(folder)
        blocks = encoded_blocks(dataset, protocol, self._secret, asked)
        rowstore.write(folder, blocks, protocol.data)
        found = rowstore.read(folder, protocol.data)
        if found is None:
            raise rowstore.RowsUnwritable(
                f"the encoded rows in {self._folder} are not what was written; check the disk"
            )
        return found

    def _name(self, dataset: Dataset, protocol: Protocol, seen: str) -> str:
        """One folder for each dataset, state of its source, contract, split and key."""
        document = protocol.data.model_dump(mode="json")
        split = [repr(protocol.evaluation.holdout), digest(self._secret)]
        rows = digest(canonical_json([FORM, document, split]))
        return f"{_prefix(dataset)}-{seen[:16]}-{rows[:32]}"

    def _forget(self, dataset: Dataset, seen: str) -> None:
        """Remove the rows of an older state of the source, and of all but the last contracts."""
        prefix = _prefix(dataset)
        found = sorted(self._folder.glob(f"{prefix}-*"), key=_last_used, reverse=True)
        current = [path for path in found if path.name.startswith(f"{prefix}-{seen[:16]}-")]
        for path in found:
            if path not in current[:KEPT]:
                rowstore.remove(path)


def encoded_blocks(
    dataset: Dataset,
    protocol: Protocol,
    secret: bytes,
    asked: Callable[[], object] = nobody_asks,
) -> Generator[Block]:
    """Read and encode the source from its first row to its last, keeping nothing.

    Raises ContractError, also where the source changed meanwhile.
    """
    contract, holdout = protocol.data, protocol.evaluation.holdout
    before = dataset.version()
    # Closed here and now, also where a row does not fit: a database's cursor is not left to chance.
    with closing(dataset.blocks(contract)) as blocks:
        for columns in blocks:
            asked()
            yield encode_block(columns, contract, holdout=holdout, key=secret)
    if dataset.version() != before:
        raise ContractError(
            "", "changed while it was read", "give a copy that nobody writes to, and try again"
        )


def _prefix(dataset: Dataset) -> str:
    return digest(dataset.name.encode())[:16]


def _last_used(path: Path) -> float:
    return path.stat().st_mtime
