"""The life of one command that runs an installation: prepare, start, always stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOBase
from types import FrameType

from django.core.management import call_command
from django.db import connections

from config.launch.installation import Installation
from config.launch.processes import Supervisor


@contextmanager
def running_hub(installation: Installation, say: Callable[[str], None]) -> Iterator[Supervisor]:
    """Migrate, start the hub, yield its supervisor; stop every child however the block ends."""
    supervisor = Supervisor(installation.folder / "processes.json")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        call_command("migrate", verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)
        connections.close_all()
        installation.start_hub(supervisor)
        say(f"hub at {installation.url}")
        yield supervisor
    finally:
        supervisor.stop()


def speaker(stream: TextIOBase) -> Callable[[str], None]:
    """A function that writes one line at once, also when the output is a pipe or a file."""

    def say(text: str) -> None:
        stream.write(f"{text}\n")
        stream.flush()

    return say


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the command the way Ctrl-C does."""
    raise KeyboardInterrupt
