"""Every model is declared mutable or written once; a new one that is neither fails here."""

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction

from studies import triggers
from studies.models import AppendOnly, Approval, Event, Explanation, Revision, Written
from studies.services import explanations, participations

MUTABLE = {
    "Delivery",  # status, attempts
    "EnrolmentToken",  # used_at, expires_at
    "Institution",  # key, offer, last_seen
    "Membership",  # deleted when a role is taken away; the event stays
    "Participation",  # status
    "Person",
    "Subscription",  # severity, and how far it was looked at
    "Study",  # status, document (its revisions keep every version)
}
WRITTEN_ONCE = {"Approval", "Event", "Explanation", "Revision"}


def test_every_model_is_declared():
    models = {model.__name__: model for model in apps.get_app_config("studies").get_models()}
    assert set(models) == MUTABLE | WRITTEN_ONCE
    assert {name for name, model in models.items() if issubclass(model, AppendOnly)} == WRITTEN_ONCE


def test_the_database_guards_whatever_is_written_once(db):
    guarded = {m._meta.db_table for m in apps.get_models() if issubclass(m, AppendOnly)}
    assert triggers.guarded_tables(connection) == guarded | {"accounting_entry"}


@pytest.fixture
def rows(submitted, part, cast):
    participations.decline(part("cleveland"), by=cast.carla)
    explanations.explain(Event.objects.first(), "only a test", by=cast.olga)
    written = (Approval, Event, Explanation, Revision)
    return {model.__name__: model.objects.first() for model in written}


@pytest.mark.parametrize("name", sorted(WRITTEN_ONCE))
def test_django_refuses_to_change_them(name, rows):
    row = rows[name]
    with pytest.raises(Written, match="never changed"):
        row.save()
    with pytest.raises(Written, match="never deleted"):
        row.delete()
    with pytest.raises(Written, match="never changed"):
        type(row).objects.filter(pk=row.pk).update(pk=row.pk)
    with pytest.raises(Written, match="never changed"):
        type(row).objects.bulk_update([row], ["id"])
    with pytest.raises(Written, match="never deleted"):
        type(row).objects.filter(pk=row.pk).delete()


@pytest.mark.parametrize("how", ["ignore_conflicts", "update_conflicts"])
@pytest.mark.parametrize("name", sorted(WRITTEN_ONCE))
def test_no_conflict_is_passed_over(name, how, rows):
    with pytest.raises(Written, match="look first what is there"):
        type(rows[name]).objects.bulk_create([rows[name]], **{how: True})


@pytest.mark.parametrize("verb", ["UPDATE {table} SET id = id", "DELETE FROM {table}"])
@pytest.mark.parametrize("name", sorted(WRITTEN_ONCE))
def test_the_database_refuses_too(name, verb, rows):
    table = rows[name]._meta.db_table
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(verb.format(table=table))
    assert type(rows[name]).objects.filter(pk=rows[name].pk).exists()


def test_a_study_with_a_history_cannot_be_deleted(submitted):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        submitted.delete()


def test_every_key_of_a_row_keeps_it_from_being_replaced(db):
    """Only SQLite replaces rows, by any key; Django's introspection says which there are."""
    with connection.cursor() as cursor:
        for table in triggers.guarded_tables(connection):
            found = connection.introspection.get_constraints(cursor, table).values()
            keys = [key["columns"] for key in found if key["unique"] or key["primary_key"]]
            written = "\n".join(guards(cursor, table))
            for names in keys:
                one = " AND ".join(f"{name} = NEW.{name}" for name in names)
                assert connection.vendor != "sqlite" or f"({one})" in written, (table, names)


def guards(cursor, table: str) -> list[str]:
    if connection.vendor != "sqlite":
        return []
    cursor.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [table]
    )
    return [row[0] for row in cursor.fetchall()]


def test_an_unknown_engine_is_refused(db):
    class Oracle:
        vendor = "oracle"

    with pytest.raises(NotImplementedError, match="no append-only triggers for oracle"):
        triggers.install(Oracle(), ("studies_event",))
