"""The triggers that keep approvals, events and revisions as they were written."""

from django.db import migrations

from studies.triggers import guarded


class Migration(migrations.Migration):

    dependencies = [
        ('studies', '0001_initial'),
    ]

    operations = [
        guarded("studies_approval", "studies_event", "studies_revision"),
    ]
