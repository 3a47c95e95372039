from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounting', '0003_append_only'),
    ]

    operations = [
        migrations.AddField(
            model_name='datasetbudget',
            name='filter_order',
            field=models.CharField(default="8.0", max_length=16),
            preserve_default=False,
        ),
    ]
