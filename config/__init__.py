"""Glue: settings, URLs, ASGI, Celery and the commands that start everything."""

import atexit
import gc

# Python looks through every object for cycles once more before it ends: a second where torch is
# loaded, and whoever stops the hub waits for it.
atexit.register(gc.freeze)
