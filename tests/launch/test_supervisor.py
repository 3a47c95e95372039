"""The supervisor restarts what died, and stops exactly what it started."""

import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from config.launch.processes import Program, Supervisor

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True); time.sleep(60)",
)


def program(folder: Path, name: str, arguments=SLEEPER, grace: float = 4.0) -> Program:
    return Program(name, arguments, os.environ, folder, folder / f"{name}.log", grace)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(tmp_path / "processes.json")
    yield made
    made.stop()


def until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_killed_child_is_started_again_and_recorded(supervisor, tmp_path):
    supervisor.start(program(tmp_path, "one"))
    first = supervisor.pid("one")
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.watch() == ["one"])
    until(lambda: (supervisor.watch(), supervisor.pid("one") != first)[1])
    assert alive(supervisor.pid("one"))
    assert json.loads((tmp_path / "processes.json").read_text()) == {"one": supervisor.pid("one")}


def test_delays_grow_while_a_child_keeps_dying(tmp_path):
    now = [0.0]
    supervisor = Supervisor(clock=lambda: now[0])
    supervisor.start(program(tmp_path, "dies", (sys.executable, "-c", "raise SystemExit(1)")))
    starts, pid = [], supervisor.pid("dies")
    deadline = time.monotonic() + 20
    while len(starts) < 4 and time.monotonic() < deadline:
        now[0] += 0.05
        supervisor.watch()
        if supervisor.pid("dies") != pid:
            starts.append(now[0])
            pid = supervisor.pid("dies")
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    supervisor.stop()
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert len(gaps) == 3
    assert gaps == sorted(gaps)
    assert gaps[-1] > 2 * gaps[0]


def test_stop_ends_its_children_and_nothing_else(supervisor, tmp_path):
    stranger = Supervisor()
    stranger.start(program(tmp_path, "stranger"))
    supervisor.start(program(tmp_path, "mine"))
    mine, other = supervisor.pid("mine"), stranger.pid("stranger")
    supervisor.stop()
    assert not alive(mine)
    assert alive(other)
    stranger.stop()
    assert not alive(other)


def test_a_child_that_ignores_the_request_is_killed(supervisor, tmp_path):
    supervisor.start(program(tmp_path, "stubborn", STUBBORN, grace=0.3))
    until(lambda: "ready" in (tmp_path / "stubborn.log").read_text())
    pid = supervisor.pid("stubborn")
    supervisor.stop()
    assert not alive(pid)


def test_a_name_is_used_once(supervisor, tmp_path):
    supervisor.start(program(tmp_path, "one"))
    with pytest.raises(ValueError, match="already running"):
        supervisor.start(program(tmp_path, "one"))


def test_children_die_with_a_killed_supervisor(tmp_path):
    script = (
        "import os,sys,time\nfrom pathlib import Path\n"
        "from config.launch.processes import Program, Supervisor\n"
        f"f=Path({str(tmp_path)!r}); s=Supervisor(f/'pids.json')\n"
        f"s.start(Program('child', {SLEEPER!r}, os.environ, f, f/'log'))\ntime.sleep(60)\n"
    )
    parent = Supervisor()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    parent.start(
        Program("parent", (sys.executable, "-c", script), environment, tmp_path, tmp_path / "p.log")
    )
    record = tmp_path / "pids.json"
    until(lambda: record.exists() and record.read_text().startswith('{"child"'))
    child = json.loads(record.read_text())["child"]
    os.kill(parent.pid("parent"), signal.SIGKILL)
    until(lambda: not alive(child))
    parent.stop()
