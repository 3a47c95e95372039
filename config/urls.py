"""Every address of the hub."""

from django.urls import include, path

urlpatterns = [
    path("", include("studies.urls")),
    path("", include("accounting.urls")),
    path("", include("federation.urls")),
    path("site-api/v1/", include("federation.api.urls")),
]
