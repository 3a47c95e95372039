"""The ledger's triggers, and the one head row that appends lock."""

from django.db import migrations

from studies.triggers import guarded


def make_head(apps, editor):
    apps.get_model("accounting", "LedgerHead").objects.using(
        editor.connection.alias
    ).get_or_create(pk=1)


class Migration(migrations.Migration):

    dependencies = [
        ('accounting', '0002_spending_columns'),
    ]

    operations = [
        migrations.RunPython(make_head, migrations.RunPython.noop),
        guarded("accounting_entry"),
    ]
