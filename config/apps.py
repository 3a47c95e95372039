"""The Django application `config`: nothing but management commands."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Glue."""

    name = "config"
