"""The addresses of a study's rounds, utility and model."""

from django.urls import path

from federation.views import cancelling, closing, downloads, panels

STUDY = "studies/<slug:slug>/"
urlpatterns = [
    path(STUDY + "panels/rounds/", panels.rounds, name="panel-rounds"),
    path(STUDY + "panels/utility/", panels.utility, name="panel-utility"),
    path(STUDY + "panels/audit/", panels.audit, name="panel-audit"),
    path(STUDY + "panels/progress/", panels.progress, name="panel-progress"),
    path(STUDY + "close-round/", closing.close_below_quorum, name="round-close"),
    path(STUDY + "cancel-round/", cancelling.cancel_round, name="round-cancel"),
    path(STUDY + "model.safetensors", downloads.tensors, name="model-download"),
    path(STUDY + "model-card.md", downloads.card, name="model-card"),
]
