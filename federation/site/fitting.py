"""Whether a study could be run here: the rules that it must keep, read from its file."""

from pathlib import Path

from federation.learning import architectures, strategies
from federation.protocol import plans, study_file
from federation.protocol.document import Protocol
from federation.protocol.study_reading import decoded
from federation.site.config import ConfigError

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
