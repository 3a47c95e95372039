"""Enrolment: the key is made here, the token redeemed once, the hub's key pinned."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from federation.protocol.keys import SigningKey
from federation.protocol.message_fields import MessageError, digest64, slug
from federation.protocol.messages import enrolment_proof
from federation.site import SOFTWARE
from federation.site.config import example_config, read_config
from federation.site.folder import Folder
from federation.site.pin import Pin
from federation.site.store import write_durably
from federation.site.transport.client import AccessRefused, HubAbsent, RequestRejected
from federation.site.transport.joining import join

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class EnrolmentFailed(RuntimeError):
    """Nothing was enrolled; the text says why and what to do."""


@dataclass(frozen=True)
class Enrolled:
    """What came of it, and a warning where the way to the hub is not private."""

    pin: Pin
    fingerprint: str
    warning: str


def enrol(folder: Folder, *, url: str, token: str, force: bool = False) -> Enrolled:
    """Make the folder and the key, redeem the token, pin the hub.

    Raises:
        EnrolmentFailed: an enrolment stands here already, or the hub was away or said no. Nothing
            that worked before is touched then.
    """
    _check_free(folder, force)
    _check_url(url)
    folder.create()
    if not folder.config.exists():
        write_durably(folder.config, example_config().encode())
    draft = _draft(folder, force)
    key = SigningKey.load(draft)
    pin = _joined(folder, key, url=url, token=token)
    draft.replace(folder.key)
    pin.write(folder)
    return Enrolled(pin, key.public, _warning(url))


def _check_free(folder: Folder, force: bool) -> None:
    if folder.pin.exists() and not force:
        raise EnrolmentFailed(
            f"{folder.path} is enrolled already. Enrolling anew makes a new key: the hub then "
            "refuses the old one, and who is held out for evaluation is drawn anew, while the "
            "journal and all that was charged stay. If that is what you want, ask the hub for a "
            "new token and add --force"
        )


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EnrolmentFailed(f"--hub {url} is no address; give it as https://hub.example.org")


def _draft(folder: Folder, force: bool) -> Path:
    """The file of the key to enrol.

    A key left by an enrolment that failed half-way is used again: it was never enrolled. With
    --force the old key stays in place until the hub has accepted the new one.
    """
    path = folder.key.with_suffix(".key.new") if force and folder.key.exists() else folder.key
    if not path.exists():
        SigningKey.generate().save(path)
    return path


def _joined(folder: Folder, key: SigningKey, *, url: str, token: str) -> Pin:
    hub = read_config(folder).hub
    try:
        answer = join(
            url,
            token=token,
            public_key=key.public,
            proof=enrolment_proof(token, key),
            software=SOFTWARE,
            proxy=hub.proxy,
            ca_file=hub.ca_file,
        )
    except HubAbsent as error:
        raise EnrolmentFailed(f"{url} does not answer ({error}); check address and network") from (
            error
        )
    except (AccessRefused, RequestRejected) as error:
        raise EnrolmentFailed(
            f"the hub refused: {error}. A token works once and for a day; ask for a new one"
        ) from error
    return _pinned(url, answer)


def _pinned(url: str, answer: dict[str, object]) -> Pin:
    try:
        digest64("hub_key", answer.get("hub_key"))
        slug("institution", answer.get("institution"))
    except MessageError as error:
        raise EnrolmentFailed(f"{url} does not answer like a hub: {error}") from error
    return Pin(
        url=url.rstrip("/"),
        institution=str(answer["institution"]),
        name=str(answer.get("name", "")),
        hub_key=str(answer["hub_key"]),
    )


def _warning(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in LOCAL:
        return ""
    return "the hub is reached without TLS; use https outside a test"
