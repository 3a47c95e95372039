"""Glue: settings, URLs, ASGI, Celery and the commands that start everything."""
