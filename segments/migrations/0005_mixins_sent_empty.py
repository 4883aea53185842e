from django.db import migrations, models


class Migration(migrations.Migration):
    """Tell mixins and schemas that were sent empty from ones that were not sent. It changes no row."""

    dependencies = [
        ('segments', '0004_normalize_names'),
    ]

    operations = [
        migrations.AlterField(
            model_name='customerassignment',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='itemassignment',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='segment',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
