"""A site process needs nothing of the hub but its URL: its connections, files and environment."""

import time
from pathlib import Path

import pytest

from tests.system.running import start_simulation
from tests.system.small_study import write_small_study

pytestmark = pytest.mark.system
LISTEN = "0A"


def sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process holds open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # closed while we looked
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def tcp_rows(pid: int) -> list[tuple[str, int, str]]:
    """(state, remote port, remote address in hexadecimal) of the process's TCP sockets."""
    inodes, rows = sockets_of(pid), []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[9] in inodes:
                address, port = parts[2].split(":")
                rows.append((parts[3], int(port, 16), address))
    return rows


def open_files(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return found


def test_a_site_talks_to_the_hubs_port_and_opens_nothing_of_the_hub(tmp_path):
    study = write_small_study(tmp_path / "study", letters="ab", rounds=12)
    simulation = start_simulation(study, tmp_path / "installation")
    simulation.wait_for_round(1)
    pid, seen = simulation.pid("site-site-a"), set()
    names = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert not [name for name in names if name.startswith((b"CLOISTER_", b"DJANGO_"))]
    hub = str(simulation.folder / "hub")
    while simulation.process.poll() is None:
        try:
            seen.update(tcp_rows(pid))
            assert not [path for path in open_files(pid) if path.startswith(hub)]
        except (FileNotFoundError, PermissionError):  # the site has ended
            break
        time.sleep(0.02)
    output = simulation.finish()
    assert simulation.process.returncode == 0, output
    port = int(output.split("hub at http://127.0.0.1:")[1].split()[0])
    assert {remote for _, remote, _ in seen} == {port}
    assert not [state for state, _, _ in seen if state == LISTEN]
