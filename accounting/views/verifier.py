"""The stand-alone verifier as a download: one file, to be read before it is believed."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from accounting.verifier.assembling import FILE


@login_required
@require_GET
def download(request: HttpRequest) -> HttpResponse:
    """The file as it stands in the source; nothing in it is secret."""
    answer = HttpResponse(FILE.read_bytes(), content_type="text/x-python; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{FILE.name}"'
    return answer
