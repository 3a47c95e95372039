"""The Django application `federation`."""

from django.apps import AppConfig


class FederationConfig(AppConfig):
    """How a round is run."""

    name = "federation"
    default_auto_field = "django.db.models.BigAutoField"
