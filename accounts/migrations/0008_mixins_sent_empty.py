from django.db import migrations, models


class Migration(migrations.Migration):
    """Tell mixins and schemas that were sent empty from ones that were not sent. It changes no row."""

    dependencies = [
        ('accounts', '0007_initial_passwords'),
    ]

    operations = [
        migrations.AlterField(
            model_name='contactassignment',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='contactassignment',
            name='mixins',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='customer',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='customer',
            name='mixins',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='legalentity',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='legalentity',
            name='mixins',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='site',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='site',
            name='mixins',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
