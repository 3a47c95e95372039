"""The stand-alone verifier as a download: one file, to be read before it is believed."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from accounting.verifier.assembling import FILE
from studies.attachments import attachment


@login_required
@require_GET
def download(request: HttpRequest) -> HttpResponseBase:
    """The file as it stands in the source; nothing in it is secret."""
    return attachment(FILE.read_bytes(), "text/x-python; charset=utf-8", FILE.name)
