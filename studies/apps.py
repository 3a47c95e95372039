"""The Django application `studies`."""

from django.apps import AppConfig


class StudiesConfig(AppConfig):
    """Who agreed to what."""

    name = "studies"
    default_auto_field = "django.db.models.BigAutoField"
