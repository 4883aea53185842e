from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('segments', '0011_segment_sets'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='rule',
            options={'ordering': ('id',), 'verbose_name': 'rule', 'verbose_name_plural': 'rules'},
        ),
        migrations.AlterModelOptions(
            name='ruleexclusion',
            options={'ordering': ('id',), 'verbose_name': 'exclusion from the rule', 'verbose_name_plural': 'exclusions from rules'},
        ),
    ]
