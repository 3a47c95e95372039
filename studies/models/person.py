"""A person who logs in; what a person may do stands in memberships, never here."""

from django.contrib.auth.models import AbstractUser


class Person(AbstractUser):
    """A Django user of our own from the first day, so that it can grow."""
