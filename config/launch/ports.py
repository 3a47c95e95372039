"""Free TCP ports on loopback, and waiting until one answers."""

import socket
import time
from pathlib import Path

import requests


class PortTaken(Exception):
    """Something else listens on the port that is wanted."""


class NotAnswering(Exception):
    """A server did not begin to listen in time."""


def free_port(preferred: int = 0) -> int:
    """Return `preferred` when nothing listens there, else a port the kernel picks."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])


def listen(port: int) -> socket.socket:
    """A socket that listens on loopback `port`; raises PortTaken when something else does."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise PortTaken(
            f"port {port} is in use; stop what listens there, or choose another"
        ) from error
    return listening


def wait_for_port(port: int, seconds: float) -> None:
    """Return once something listens on loopback `port`; raises NotAnswering after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise NotAnswering(f"nothing listens on 127.0.0.1:{port} after {seconds:.0f} s")


def wait_for_page(url: str, seconds: float, log: Path) -> None:
    """Return once `url` answers with 200; raises NotAnswering, naming the log to read."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if requests.get(url, timeout=5).status_code == requests.codes.ok:
                return
        except requests.RequestException:
            time.sleep(0.05)
    raise NotAnswering(f"{url} does not answer after {seconds:.0f} s; read {log}")
