"""The Django application `accounting`."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class AccountingConfig(AppConfig):
    """What has been spent."""

    name = "accounting"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what listens to studies."""
        autodiscover_modules("receivers")
