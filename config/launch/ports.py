"""Free TCP ports on loopback, and waiting until one answers."""

import socket
import time


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
