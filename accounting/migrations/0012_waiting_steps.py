"""How many of the summed steps wait: reserved, and no row says yet what became of them."""

import json

from django.db import migrations, models
from django.db.models import Exists, F, OuterRef

KEY = ("study", "institution", "round", "attempt", "phase")
SAID = ("charged", "lost", "refused", "aborted")


def fill(apps, editor):
    alias = editor.connection.alias
    entries = apps.get_model("accounting", "Entry").objects.using(alias)
    sums = apps.get_model("accounting", "SpentSteps").objects.using(alias)
    later = entries.filter(**{name: OuterRef(name) for name in KEY}, kind__in=SAID)
    for row in entries.filter(kind="reserved").exclude(Exists(later)).iterator():
        place = sums.filter(
            study=row.study,
            institution=row.institution,
            lineage=row.lineage,
            unit=json.loads(row.body)["event"].get("unit", "row"),
            noise_multiplier=row.noise_multiplier,
            sample_rate=row.sample_rate,
            rows_per_unit=row.rows_per_unit,
        )
        place.update(waiting=F("waiting") + row.steps)


class Migration(migrations.Migration):

    dependencies = [
        ('accounting', '0011_report_schedules'),
    ]

    operations = [
        migrations.AddField(
            model_name='spentsteps',
            name='waiting',
            field=models.BigIntegerField(default=0),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
