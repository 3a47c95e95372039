"""The addresses of logging in, institutions and studies."""

from django.urls import path

from studies.views import (
    acting,
    alerting,
    approving,
    home,
    institutions,
    protocol,
    sessions,
    study,
    writing,
)

STUDY = "studies/<slug:slug>/"
PART = STUDY + "institutions/<slug:institution>/"
urlpatterns = [
    path("", home.home, name="home"),
    path("panels/home/", home.sections, name="panel-home"),
    path("login/", sessions.log_in, name="login"),
    path("logout/", sessions.log_out, name="logout"),
    path("violations/", alerting.page, name="violations"),
    path("violations/<int:number>/", alerting.explain, name="explain"),
    path("subscribe/", alerting.subscribe, name="subscribe"),
    path("subscriptions/<int:number>/end/", alerting.unsubscribe, name="unsubscribe"),
    path("institutions/", institutions.listing, name="institutions"),
    path("new-institution/", institutions.register, name="institution-new"),
    path("institutions/<slug:slug>/", institutions.detail, name="institution"),
    path("institutions/<slug:slug>/token/", institutions.token, name="institution-token"),
    path("institutions/<slug:slug>/revoke/", institutions.revoke, name="institution-revoke"),
    path("studies/", study.listing, name="studies"),
    path("new-study/", writing.new, name="study-new"),
    path("new-study/import/", writing.import_new, name="study-import"),
    path(STUDY, study.overview, name="study"),
    path(STUDY + "edit/", writing.edit, name="study-edit"),
    path(STUDY + "edit/import/", writing.import_edit, name="study-edit-import"),
    path(STUDY + "protocol/", protocol.read, name="study-protocol"),
    path(STUDY + "study.toml", protocol.export, name="study-export"),
    path(STUDY + "actions/<slug:action>/", acting.act_on_study, name="study-action"),
    path(STUDY + "panels/head/", study.head, name="panel-head"),
    path(STUDY + "panels/participations/", study.participations, name="panel-participations"),
    path(STUDY + "panels/events/", study.happenings, name="panel-events"),
    path(PART + "approve/", approving.approve, name="study-approve"),
    path(PART + "<slug:action>/", acting.act_on_participation, name="participation-action"),
]
