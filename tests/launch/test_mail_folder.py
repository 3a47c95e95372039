"""Mail that nobody configured a server for stays in the hub's own folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("chosen", [None, "elsewhere"])
def test_mail_lands_in_an_absolute_folder(tmp_path, chosen):
    """The address was read without its first slash, so mail lay below the working folder."""
    folder = tmp_path / (chosen or "mail")
    given = {"CLOISTER_EMAIL_URL": f"filemail://{folder}"} if chosen else {}
    environment = {k: v for k, v in os.environ.items() if k != "CLOISTER_EMAIL_URL"}
    environment |= {"CLOISTER_VAR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    code = "from django.conf import settings; print(settings.EMAIL_FILE_PATH)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | given,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == str(folder)
