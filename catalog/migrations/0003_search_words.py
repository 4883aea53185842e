from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations
from django.db.models import F, Func, TextField, Value
from django.db.models.functions import Concat


def search_words():
    name = Func(F('name'), template="jsonb_path_query_array(%(expressions)s, '$.*')::text", output_field=TextField())
    parts = [part for field in ('external_id', 'code', name) for part in (field, Value(' '))]
    return Func(Concat(*parts, output_field=TextField()), function='search_words', output_field=SearchVectorField())


class Migration(migrations.Migration):
    """Indexes for the admin's search by words, built beside reads and writes; no row is written anew."""

    atomic = False

    dependencies = [
        ('catalog', '0002_normalize_texts'),
        ('core', '0002_search_words'),
        ('tenancy', '0001_initial'),
    ]

    operations = [
        AddIndexConcurrently(model_name=model, index=GinIndex(search_words(), name=f'{model}_words'))
        for model in ('product', 'category')
    ]
