"""The site API alone: these tests need no page."""

from django.urls import include, path

urlpatterns = [path("site-api/v1/", include("federation.api.urls"))]
