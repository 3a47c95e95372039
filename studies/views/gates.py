"""What every view of a study shares: whom it is for, and answers that are sentences."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from studies.services.errors import Refused
from studies.states import IllegalMove

ANSWERED = (Refused, IllegalMove)  # what a service may say no with


def attempt(request: HttpRequest, done: str, step: Callable[[], Any]) -> bool:
    """Take one step of a service and tell the person how it went; whether it was done."""
    try:
        step()
    except ANSWERED as error:
        messages.error(request, sentence(error))
        return False
    messages.success(request, done)
    return True


def sentence(error: Exception) -> str:
    """An error's text as a sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"
