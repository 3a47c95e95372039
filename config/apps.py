"""The Django application `config`: the management commands, and the Celery application of all."""

from django.apps import AppConfig

from config.celery import app


class ConfigConfig(AppConfig):
    """Glue."""

    name = "config"

    def ready(self) -> None:
        """Make every process, commands included, send its tasks to the hub's own broker."""
        app.set_default()
