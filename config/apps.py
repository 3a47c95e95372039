"""The Django application `config`: management commands, and the Celery application of the hub."""

from django.apps import AppConfig

from config.celery import app


class ConfigConfig(AppConfig):
    """Glue. Tasks are sent by name through Celery's default application, so it is set here."""

    name = "config"

    def ready(self) -> None:
        """Make the hub's Celery application the one that every process sends through."""
        app.set_default()
