"""The WebSocket addresses of the hub."""

from django.urls import path

from studies.consumers import NewsConsumer

websocket_urlpatterns = [
    path("ws/news/", NewsConsumer.as_asgi()),
    path("ws/news/study/<slug:slug>/", NewsConsumer.as_asgi()),
]
