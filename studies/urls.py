"""The addresses of logging in, institutions and studies."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from studies.views import home

_soon = home.home
urlpatterns = [
    path("", home.home, name="home"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("institutions/", _soon, name="institutions"),
    path("institutions/new/", _soon, name="institution-new"),
    path("institutions/<slug:slug>/", _soon, name="institution"),
    path("institutions/<slug:slug>/token/", _soon, name="institution-token"),
    path("studies/", _soon, name="studies"),
    path("studies/new/", _soon, name="study-new"),
    path("studies/import/", _soon, name="study-import"),
    path("studies/<slug:slug>/", _soon, name="study"),
    path("studies/<slug:slug>/edit/", _soon, name="study-edit"),
    path("studies/<slug:slug>/edit/import/", _soon, name="study-edit-import"),
    path("studies/<slug:slug>/protocol/", _soon, name="study-protocol"),
    path("studies/<slug:slug>/study.toml", _soon, name="study-export"),
    path("studies/<slug:slug>/approve/<slug:institution>/", _soon, name="study-approve"),
    path("studies/<slug:slug>/actions/<slug:action>/", _soon, name="study-action"),
    path("studies/<slug:slug>/panels/head/", _soon, name="panel-head"),
    path("studies/<slug:slug>/panels/participations/", _soon, name="panel-participations"),
    path("studies/<slug:slug>/panels/events/", _soon, name="panel-events"),
]
