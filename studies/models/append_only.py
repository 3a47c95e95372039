"""Rows that are written once: Django refuses to change them here, the database by its triggers."""

from collections.abc import Iterable
from typing import Any, NoReturn

from django.db import models


class Written(TypeError):
    """A row that is kept for good was about to be changed or deleted; write a new one instead."""


class AppendOnlyQuerySet(models.QuerySet):
    """Reads and creates; changes nothing."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise Written(f"{self.model.__name__} rows are never changed; write a new one")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise Written(f"{self.model.__name__} rows are never changed; write a new one")

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Insert; a row that is there already is an error on every engine, never passed over.

        PostgreSQL would ignore it, and SQLite's guard refuse the whole statement.
        """
        if kwargs.get("ignore_conflicts") or kwargs.get("update_conflicts"):
            raise Written(f"{self.model.__name__} rows are written once; look first what is there")
        return super().bulk_create(objs, *args, **kwargs)

    def delete(self) -> NoReturn:
        """Refuse."""
        raise Written(f"{self.model.__name__} rows are never deleted")


class AppendOnly(models.Model):
    """A model whose rows are created and read, and nothing else."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; a row that exists already is refused."""
        if not self._state.adding:
            raise Written(f"{type(self).__name__} rows are never changed; write a new one")
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise Written(f"{type(self).__name__} rows are never deleted")
