"""One whole installation on one machine: its folders, its environment and its processes."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from config.launch.ports import PortTaken, free_port, listen, wait_for_page, wait_for_port
from config.launch.processes import Program, Supervisor
from config.launch.valkey import embedded_valkey, valkey_command

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH")


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
        """Start Valkey, the web process, the hub's worker and its clock; wait until pages answer.

        Raises PortTaken, and NotAnswering with the log to read.
        """
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        web = listen(self.port)
        for name, arguments in self._hub_programs(web.fileno()).items():
            sockets = (web,) if name == "web" else ()
            log = self._log(name)
            program = Program(name, arguments, environment, ROOT, log, sockets=sockets)
            supervisor.start(program)
            if name == "valkey":
                wait_for_port(self.valkey_port, START_SECONDS)
        wait_for_page(f"{self.url}/login/", START_SECONDS, self._log("web"))

    def start_site(self, supervisor: Supervisor, institution: str) -> None:
        """Start one site's worker, which sees its own folder and the hub's address alone."""
        name = f"site-{institution}"
        folder = self.site_folder(institution)
        program = Program(name, site_command("run"), site_environment(), folder, self._log(name))
        supervisor.start(program)

    def _hub_programs(self, web: int) -> dict[str, tuple[str, ...]]:
        celery = (sys.executable, "-m", "celery", "-A")
        quiet = ("--loglevel", "WARNING")
        return {
            "valkey": valkey_command(self.folder / "valkey"),
            "web": (sys.executable, "-m", "config.web", str(web)),
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


def open_installation(folder: Path, port: int = 0, preferred: int = 0) -> Installation:
    """Return the installation in `folder`, choosing its port on the first start.

    The port is kept, because the sites pinned it. A `port` that is asked for, or kept, must be
    free: raises PortTaken. A `preferred` one gives way to any free one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "installation.json"
    if known.exists() and not port:
        port = int(json.loads(known.read_text())["port"])
    if port and free_port(port) != port:
        raise PortTaken(
            f"port {port} of the installation in {folder} is in use: is it running already? "
            "Stop the other process, or choose another port."
        )
    port = port or free_port(preferred)
    known.write_text(json.dumps({"port": port}))
    return Installation(folder, port, free_port())


def entered(folder: Path | None) -> bool:
    """Whether this process runs inside the environment of the installation in `folder`."""
    return folder is not None and os.environ.get("CLOISTER_INSTALLATION") == str(folder)


def enter(folder: Path, port: int = 0, preferred: int = 0) -> Installation:
    """Return the installation in `folder`, with this process inside its environment.

    Django read its settings when the command began; where they are another installation's, the
    process replaces itself by the same command in the right environment and does not return.
    """
    if not entered(folder):
        environment = open_installation(folder, port, preferred).hub_environment()
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
