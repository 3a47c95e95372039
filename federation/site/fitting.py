"""Whether a study could be run here: as it is written, and on the rows of a dataset."""

import os
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from federation.learning import architectures, strategies
from federation.protocol import plans, study_file
from federation.protocol.contract import ContractError
from federation.protocol.document import Protocol
from federation.protocol.study_reading import decoded
from federation.site import rowstore
from federation.site.config import ConfigError, Dataset
from federation.site.datasets import encoded_blocks

# What the hub asks of a study before anybody can approve it.
RULES = (architectures.check, strategies.check, plans.seal)


def protocol_of(path: Path) -> Protocol:
    """The protocol that the study file at `path` describes, held against every rule of the hub.

    No other file that it names is touched: other sites' data, and the hub's public rows, are not
    here, and whose rows are to be held against it, site.toml says.

    Raises ConfigError: file, line, key and what to do.
    """
    try:
        text = decoded(path.read_bytes(), path.name)
        return study_file.parse(text, file=path.name, checks=RULES).protocol
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except study_file.StudyFileError as error:
        raise ConfigError(str(error)) from error


def anybody_left(dataset: Dataset, protocol: Protocol, secret: bytes, rows: Path) -> bool:
    """Read the whole source as a round would; whether it leaves one unit to train on.

    Where the study has windows they are cut as well, in files in `rows`, of which none stays.

    Raises:
        ContractError: the rows do not fit.
        RowsUnwritable: there is no room in `rows`.
    """
    blocks = encoded_blocks(dataset, protocol, secret)
    if protocol.data.windows is not None:
        units = rowstore.units(rows / f"check-{os.getpid()}", blocks, protocol.data)
        return units["train"] > 0
    found = False
    with closing(blocks):
        for block in blocks:
            found = found or not block.held.all()
    return found


def check_file(file: Path, protocol: Protocol) -> None:
    """Hold a file or folder of rows against `protocol` as its site will, before there is a site.

    Raises:
        ContractError: the rows do not fit, or nobody is left to train on.
        RowsUnwritable: there is no room in the system's temporary folder.
    """
    dataset = Dataset(name="data", file=file).within(file.parent)
    # Who will be held out, only the site's key says; nobody is here.
    everybody = protocol.evaluation.model_copy(update={"holdout": 0.0})
    with TemporaryDirectory() as folder:
        study = protocol.model_copy(update={"evaluation": everybody})
        if not anybody_left(dataset, study, b"", Path(folder)):
            advice = "compare the study's rules for missing values and its windows with the data"
            raise ContractError("", "nobody is left to train on", advice)
