"""Taking a study's model away: the tensors and the card that says what they are."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from federation.model_card import model_card
from federation.selectors import models
from federation.services import blobs
from studies import access
from studies.attachments import attachment
from studies.models import Study


@login_required
@require_GET
def tensors(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The newest reported model as safetensors; the study's lead and its contributors."""
    study = access.study_or_404(request.user, slug)
    access.require_download_model(request.user, study)
    model = _newest_or_404(study)
    name = f"{study.slug}-round-{model.number}.safetensors"
    file = blobs.path(model.reported_digest).open("rb")  # closed by the response
    return attachment(file, "application/octet-stream", name)


@login_required
@require_GET
def card(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The model card (Markdown); for whom the model is."""
    study = access.study_or_404(request.user, slug)
    access.require_download_model(request.user, study)
    text = model_card(study, _newest_or_404(study))
    return attachment(text, "text/markdown; charset=utf-8", f"{study.slug}-model-card.md")


def _newest_or_404(study: Study) -> models.ModelRow:
    model = models.latest(study)
    if model is None:
        raise Http404
    return model
