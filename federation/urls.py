"""The addresses of a study's rounds, utility and model."""

from django.urls import path

from studies.views import home

_soon = home.home
urlpatterns = [
    path("studies/<slug:slug>/panels/rounds/", _soon, name="panel-rounds"),
    path("studies/<slug:slug>/panels/utility/", _soon, name="panel-utility"),
    path("studies/<slug:slug>/panels/progress/", _soon, name="panel-progress"),
    path("studies/<slug:slug>/model.safetensors", _soon, name="model-download"),
    path("studies/<slug:slug>/model-card.md", _soon, name="model-card"),
]
