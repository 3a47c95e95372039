"""The Merkle tree over the rows that are there, and the running sums of what they spent.

The rows are guarded against changes, so the guard is taken off while the new column is filled.
"""

import json
from collections import Counter

from django.db import migrations, models

from accounting.log.merkle import Frontier, leaf_hash
from studies.triggers import guarded, remove

BATCH = 500


def unguard(apps, editor):
    remove(editor.connection, ("accounting_entry",))


def fill(apps, editor):
    alias = editor.connection.alias
    entries = apps.get_model("accounting", "Entry").objects.using(alias)
    tree, spent, batch = Frontier(), Counter(), []
    for row in entries.order_by("sequence").iterator(chunk_size=BATCH):
        row.subtrees = "".join(root.hex() for root in tree.append(leaf_hash(row.body.encode())))
        _count(spent, row)
        batch.append(row)
        if len(batch) == BATCH:
            entries.bulk_update(batch, ["subtrees"])
            batch = []
    entries.bulk_update(batch, ["subtrees"])
    frontier = "".join(root.hex() for root in tree.roots)
    apps.get_model("accounting", "LedgerHead").objects.using(alias).update(frontier=frontier)
    sums = apps.get_model("accounting", "SpentSteps")
    sums.objects.using(alias).bulk_create(
        sums(**dict(zip(PLACE, place)), steps=steps) for place, steps in spent.items()
    )


PLACE = (
    "study", "institution", "lineage", "unit", "noise_multiplier", "sample_rate", "rows_per_unit"
)


def _count(spent, row):
    if row.steps:
        unit = json.loads(row.body)["event"].get("unit", "row")
        price = (row.noise_multiplier, row.sample_rate, row.rows_per_unit)
        spent[(row.study, row.institution, row.lineage, unit, *price)] += row.steps


class Migration(migrations.Migration):

    dependencies = [
        ('accounting', '0005_entry_kinds'),
    ]

    operations = [
        migrations.RunPython(unguard, guarded("accounting_entry").code),
        migrations.CreateModel(
            name='LedgerCheckpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('size', models.BigIntegerField(unique=True)),
                ('root', models.CharField(max_length=64)),
                ('at', models.CharField(max_length=32)),
                ('key', models.CharField(max_length=64)),
                ('signature', models.CharField(max_length=88)),
            ],
            options={
                'ordering': ('size',),
            },
        ),
        migrations.AddField(
            model_name='entry',
            name='rows_per_unit',
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='entry',
            name='subtrees',
            field=models.TextField(default=''),
        ),
        migrations.AddField(
            model_name='ledgerhead',
            name='frontier',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.CreateModel(
            name='SpentSteps',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('study', models.CharField(max_length=80)),
                ('institution', models.CharField(max_length=63)),
                ('lineage', models.CharField(max_length=100)),
                ('unit', models.CharField(max_length=64)),
                ('noise_multiplier', models.CharField(max_length=32)),
                ('sample_rate', models.CharField(max_length=32)),
                ('rows_per_unit', models.PositiveIntegerField()),
                ('steps', models.BigIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('institution', 'lineage', 'study', 'unit', 'noise_multiplier', 'sample_rate', 'rows_per_unit'), name='spent_steps_once')],
            },
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        guarded("accounting_entry", "accounting_ledgercheckpoint"),
    ]
