"""The addresses under /site-api/v1/."""

from django.urls import path

from federation.api import views
from federation.api.routes import route

urlpatterns = [
    path("enrol", route(POST=views.enrol), name="site-enrol"),
    path("hello", route(GET=views.hello), name="site-hello"),
    path("offer", route(PUT=views.offer), name="site-offer"),
    path("journal", route(PUT=views.journal), name="site-journal"),
    path("ledger/checkpoint", route(GET=views.checkpoint), name="site-checkpoint"),
    path("assignments", route(GET=views.assignments), name="site-assignments"),
    path("assignments/<str:uid>/model", route(GET=views.model), name="site-model"),
    path("assignments/<str:uid>/progress", route(POST=views.progress), name="site-progress"),
    path("assignments/<str:uid>/tensors", route(PUT=views.tensors), name="site-tensors"),
    path(
        "assignments/<str:uid>/contribution",
        route(PUT=views.contribution),
        name="site-contribution",
    ),
    path("protocols/<str:digest>", route(GET=views.protocol), name="site-protocol"),
    path("<path:rest>", views.unknown, name="site-unknown"),
]
