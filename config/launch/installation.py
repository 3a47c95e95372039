"""One whole installation on one machine: its folders, its environment and its processes."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from config.launch.ports import free_port, wait_for_port
from config.launch.processes import Program, Supervisor
from config.launch.valkey import embedded_valkey, valkey_command

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH")


class PortTaken(Exception):
    """The port that this installation's sites know is used by something else."""


@dataclass(frozen=True)
class Installation:
    """`folder` holds everything: hub/, sites/<institution>/, logs/ and installation.json."""

    folder: Path
    port: int
    valkey_port: int

    @property
    def url(self) -> str:
        """The one address: pages, sockets and the site API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def hub_folder(self) -> Path:
        """CLOISTER_VAR of the hub."""
        return self.folder / "hub"

    def site_folder(self, institution: str) -> Path:
        """The folder that one site's process owns."""
        return self.folder / "sites" / institution

    def hub_environment(self) -> dict[str, str]:
        """What the hub's processes see; makes a new Valkey password, so call it once per start."""
        valkey = embedded_valkey(self.folder / "valkey", self.valkey_port)
        return {
            **_inherited(),
            **{key: value for key, value in os.environ.items() if key.startswith("CLOISTER_")},
            "CLOISTER_VAR": str(self.hub_folder),
            "CLOISTER_REDIS_URL": valkey.url,
            "CLOISTER_PUBLIC_URL": self.url,
            "CLOISTER_INSTALLATION": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }

    def start_hub(self, supervisor: Supervisor) -> None:
        """Start Valkey, the web process, the hub's worker and its clock; wait for the web port."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        for name, arguments in self._hub_programs().items():
            supervisor.start(Program(name, arguments, environment, ROOT, self._log(name)))
            if name == "valkey":
                wait_for_port(self.valkey_port, START_SECONDS)
        wait_for_port(self.port, START_SECONDS)

    def start_site(self, supervisor: Supervisor, institution: str) -> None:
        """Start one site's worker, which sees its own folder and the hub's address alone."""
        name = f"site-{institution}"
        folder = self.site_folder(institution)
        program = Program(name, site_command("run"), site_environment(), folder, self._log(name))
        supervisor.start(program)

    def _hub_programs(self) -> dict[str, tuple[str, ...]]:
        celery = (sys.executable, "-m", "celery", "-A")
        quiet = ("--loglevel", "WARNING")
        bind = ("--host", "127.0.0.1", "--port", str(self.port))
        return {
            "valkey": valkey_command(self.folder / "valkey"),
            "web": (
                *(sys.executable, "-m", "uvicorn", "config.asgi:application", *bind),
                *(
                    "--lifespan",
                    "off",
                    "--log-level",
                    "warning",
                    "--timeout-graceful-shutdown",
                    "1",
                ),
            ),
            "hub-worker": (
                *(
                    *celery,
                    "config.celery",
                    "worker",
                    "-Q",
                    "hub",
                    "--pool",
                    "solo",
                    "-n",
                    "hub@%h",
                    *quiet,
                ),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ),
            "hub-clock": (
                *(*celery, "config.clock", "beat", "--scheduler", "celery.beat.Scheduler", *quiet),
            ),
        }

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


def open_installation(folder: Path, port: int = 0) -> Installation:
    """Return the installation in `folder`, choosing its port on the first start.

    The port is kept, because the sites pinned it; raises PortTaken when it is in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "installation.json"
    if known.exists() and not port:
        port = int(json.loads(known.read_text())["port"])
        if free_port(port) != port:
            raise PortTaken(
                f"port {port} of the installation in {folder} is in use: is it running already? "
                "Stop the other process, or choose another port with PORT=8123."
            )
    port = free_port(port or 8000)
    known.write_text(json.dumps({"port": port}))
    return Installation(folder, port, free_port())


def enter(folder: Path, port: int = 0) -> Installation:
    """Return the installation in `folder`, with this process inside its environment.

    Django read its settings when the command began; where they are another installation's, the
    process replaces itself by the same command in the right environment and does not return.
    """
    if os.environ.get("CLOISTER_INSTALLATION") != str(folder):
        environment = open_installation(folder, port).hub_environment()
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    return _entered(folder)


def _entered(folder: Path) -> Installation:
    ports = (os.environ[name] for name in ("CLOISTER_PUBLIC_URL", "CLOISTER_REDIS_URL"))
    return Installation(folder, *(urlsplit(url).port or 0 for url in ports))


def site_command(*arguments: str) -> tuple[str, ...]:
    """The command line of the site worker, run in the site's own folder."""
    return (sys.executable, "-m", "federation.site", *arguments, "--folder", ".")


def site_environment() -> dict[str, str]:
    """What a site sees: nothing of the hub's settings, one thread for its numbers."""
    return {**_inherited(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def _inherited() -> dict[str, str]:
    return {key: os.environ[key] for key in _KEPT if key in os.environ}
