"""Logs of the site: event names with keys and values, and never a value or a count from data."""

import logging
import os
import sys

import structlog

# Celery would print the text of a failed task's exception; the worker reports failures itself.
_SILENT = ("celery.app.trace", "celery.worker.request", "celery.redirected")


def start_logging() -> None:
    """Write to standard error; CLOISTER_LOG_FORMAT=json for machines."""
    machine = os.environ.get("CLOISTER_LOG_FORMAT", "text") == "json"
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer()
            if machine
            else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(asctime)s %(message)s")
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
