from django.db import migrations, models


class Migration(migrations.Migration):
    """Tell mixins and schemas that were sent empty from ones that were not sent. It changes no row."""

    dependencies = [
        ('coupons', '0007_reports'),
    ]

    operations = [
        migrations.AlterField(
            model_name='coupon',
            name='mixin_schemas',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='coupon',
            name='mixins',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
