from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("federation", "0002_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="round",
            name="quorum",
            field=models.PositiveIntegerField(default=1),
        ),
    ]
