from django.db import migrations, models


class Migration(migrations.Migration):
    """Tell mixins and schemas that were sent empty from ones that were not sent. It changes no row."""

    dependencies = [
        ('catalog', '0003_search_words'),
    ]

    operations = [
        migrations.AlterField(
            model_name='category',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='category',
            name='mixins',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='product',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='product',
            name='mixins',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
