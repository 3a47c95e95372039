"""The hub's Celery application: queue `hub`, beat for the sweeper."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("cloister")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["studies", "accounting", "federation"])
