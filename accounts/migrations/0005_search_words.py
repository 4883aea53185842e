from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations
from django.db.models import Func, TextField, Value
from django.db.models.functions import Concat


def search_words(*fields):
    parts = [part for name in fields for part in (name, Value(' '))]
    return Func(Concat(*parts, output_field=TextField()), function='search_words', output_field=SearchVectorField())


class Migration(migrations.Migration):
    """Indexes for the search by words, built beside reads and writes; no row is written anew.

    Those for the search by the beginnings of whole fields are not needed any more.
    """

    atomic = False

    dependencies = [
        ('accounts', '0004_company_names'),
        ('core', '0002_search_words'),
        ('tenancy', '0001_initial'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='customer',
            index=GinIndex(
                search_words('external_id', 'email', 'first_name', 'middle_name', 'last_name', 'company'),
                name='customer_words',
            ),
        ),
        AddIndexConcurrently(
            model_name='legalentity',
            index=GinIndex(search_words('external_id', 'name'), name='legal_entity_words'),
        ),
        *(
            RemoveIndexConcurrently(model_name='customer', name=name)
            for name in (
                'customer_number_prefix',
                'customer_email_prefix',
                'customer_last_name',
                'customer_first_name',
            )
        ),
    ]
