"""Taking a study's model away: the tensors and the card that says what they are."""

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from federation.model_card import model_card
from federation.selectors import models
from studies import access
from studies.models import Study


@login_required
@require_GET
def tensors(request: HttpRequest, slug: str) -> FileResponse:
    """The newest reported model as safetensors; the study's lead and its contributors."""
    study = access.study_or_404(request.user, slug)
    access.require_download_model(request.user, study)
    model = _newest_or_404(study)
    name = f"{study.slug}-round-{model.number}.safetensors"
    file = models.tensors_path(model).open("rb")  # closed by the response
    return FileResponse(
        file, as_attachment=True, filename=name, content_type="application/octet-stream"
    )


@login_required
@require_GET
def card(request: HttpRequest, slug: str) -> HttpResponse:
    """The model card (Markdown); for whom the model is."""
    study = access.study_or_404(request.user, slug)
    access.require_download_model(request.user, study)
    _newest_or_404(study)
    answer = HttpResponse(model_card(study), content_type="text/markdown; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{study.slug}-model-card.md"'
    return answer


def _newest_or_404(study: Study) -> models.ModelRow:
    model = models.latest(study)
    if model is None:
        raise Http404
    return model
