"""What enrolment pinned (hub.json): the one hub this site listens to, and who we are to it."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from federation.site.folder import Folder
from federation.site.store import write_durably


class NotEnrolled(RuntimeError):
    """hub.json is missing or damaged; the text says what to do."""


@dataclass(frozen=True)
class Pin:
    """`hub_key` is the hub's Ed25519 public key, 64 hex digits; only it can give assignments."""

    url: str
    institution: str
    name: str
    hub_key: str

    @classmethod
    def read(cls, folder: Folder) -> Self:
        """Read hub.json. Raises NotEnrolled."""
        try:
            document = json.loads(folder.pin.read_text(encoding="utf-8"))
            return cls(**{key: str(document[key]) for key in cls.__dataclass_fields__})
        except FileNotFoundError as error:
            raise NotEnrolled(
                f"{folder.path} is not enrolled; run: python -m federation.site enrol "
                f"--hub URL --token TOKEN --folder {folder.path}"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise NotEnrolled(
                f"{folder.pin} is damaged; restore it from a backup, or enrol anew with --force"
            ) from error

    def write(self, folder: Folder) -> None:
        """Write hub.json durably, readable by its owner alone."""
        write_durably(folder.pin, (json.dumps(asdict(self), indent=2) + "\n").encode())
