"""The Celery worker of a site: solo, one queue, no remote control, no results, no publishing."""

import os
import traceback
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, signals
from kombu import Queue

from federation.site.assembly import Site, assemble
from federation.site.folder import Folder
from federation.site.transport.broker import SCHEME, TASK
from federation.site.transport.client import (
    AccessRefused,
    HubAbsent,
    RequestRejected,
    origin,
)
from federation.site.witness import ADVICE

# Celery would take its broker from these, and the site connects to its pinned hub only.
_FOREIGN = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")

log = structlog.get_logger()


def run(folder: Folder) -> int:
    """Work until a signal ends it; the exit code.

    Raises FolderBusy and the errors of `assemble`.
    """
    with folder.alone():
        site = assemble(folder)
        log.info("site_started", institution=site.pin.institution, hub=origin(site.pin.url))
        if site.parts.witness.blocked:
            log.error("ledger_forked", why=site.parts.witness.blocked, advice=ADVICE)
        worker = make_app(site).Worker(
            pool="solo",
            hostname=f"{site.pin.institution}@site",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="ERROR",
            quiet=True,
        )
        stop = _stop(site)
        signals.worker_shutting_down.connect(stop)
        worker.start()
        site.close()
        log.info("site_stopped", institution=site.pin.institution)
        return int(worker.exitcode or 0)


def make_app(site: Site) -> Celery:
    """The Celery app whose task `round` answers one assignment."""
    for name in _FOREIGN:
        os.environ.pop(name, None)
    queue = f"site.{site.pin.institution}"
    app = Celery("cloister-site", broker=f"{SCHEME}://", fixups=set(), set_as_current=True)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options={"polling": site.polling},
        task_default_queue=queue,
        task_queues=[Queue(queue)],
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )

    @app.task(name=TASK)
    def answer(envelope: str, ledger: str = "") -> None:
        site.polling.answered(play(site, envelope.encode(), ledger))

    return app


def play(site: Site, envelope: bytes, ledger: str = "") -> bool:
    """Answer one assignment, whatever happens; False when it stays unanswered.

    `ledger` is the checkpoint with its proof that came with it.
    """
    try:
        return site.executor.handle(envelope, ledger)
    except (HubAbsent, AccessRefused, RequestRejected) as error:
        log.warning("answer_delayed", why=str(error), advice="nothing to do: it is sent again")
        return False
    except Exception as error:  # noqa: BLE001 - the outermost frame: no failure ends the worker
        log.error("round_failed", kind=type(error).__name__, where=_where(error))
    return _give_up(site, envelope)


def _give_up(site: Site, envelope: bytes) -> bool:
    try:
        return site.executor.give_up(envelope)
    except (HubAbsent, AccessRefused, RequestRejected, OSError) as error:
        log.warning("answer_delayed", why=type(error).__name__)
        return False


def _where(error: Exception) -> str:
    """File and line, never the text: the text of a failure may quote a patient's value."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])


def _stop(site: Site) -> Any:
    """Runs in the signal handler: only flags and one system call."""

    def stop(**_: Any) -> None:
        site.polling.stop()
        site.client.interrupt()

    return stop
