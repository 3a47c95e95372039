"""The clock rings: it knows when for each task, and holds nothing that only tasks need."""

import json
import subprocess
import sys

from django.conf import settings

from tests.system.running import ROOT

AS_BEAT_DOES = """
import json, sys
from celery.beat import Scheduler
from config.clock import app
app.loader.init_worker()
app.finalize()
rings = {name: entry.task for name, entry in Scheduler(app).schedule.items()}
print(json.dumps([rings, [name for name in sys.argv[1:] if name in sys.modules]]))
"""
UNWANTED = ("django.db", "studies.models", "scipy", "torch")


def test_it_rings_for_every_task_and_loads_none():
    command = [sys.executable, "-c", AS_BEAT_DOES, *UNWANTED]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rings, loaded = json.loads(told.stdout)
    wanted = {name: entry["task"] for name, entry in settings.CELERY_BEAT_SCHEDULE.items()}
    assert rings == wanted
    assert loaded == []
