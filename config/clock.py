"""The hub's clock: a Celery application that sends the sweep and loads no task or model."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("cloister-clock", fixups=[])  # Celery's for Django would load every model
app.config_from_object("django.conf:settings", namespace="CELERY")
