"""The triggers that keep approvals, events and revisions as they were written."""

from django.db import migrations

from studies import triggers


class Migration(migrations.Migration):

    dependencies = [
        ('studies', '0001_initial'),
    ]

    operations = [
        migrations.RunPython(triggers.install, triggers.remove),
    ]
