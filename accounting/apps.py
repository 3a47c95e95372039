"""The Django application `accounting`."""

from django.apps import AppConfig


class AccountingConfig(AppConfig):
    """What has been spent."""

    name = "accounting"
    default_auto_field = "django.db.models.BigAutoField"
