"""Writes to many products at once, chosen by a queryset."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet

from catalog.models import Product
from core.sql.composition import param, sql
from core.sql.fetching import execute

MOST_AT_ONCE = 10_000  # products that are published in a transaction


@transaction.atomic
def delete_products(*, products: QuerySet[Product]) -> int:
    """Delete the products and all their assignments; say how many products.

    Products are locked before their assignments, and both in key order, as every deletion does.
    """
    keys = list(products.order_by("pk").select_for_update().values_list("pk", flat=True))
    chosen = param(keys, "bigint[]")
    execute(
        sql(
            "SELECT 1 FROM catalog_categoryassignment WHERE product_id = ANY({keys})"
            " AND tenant_id IN (SELECT tenant_id FROM catalog_product WHERE id = ANY({keys}))"
            " ORDER BY id FOR UPDATE",
            keys=chosen,
        )
    )
    return execute(sql("DELETE FROM catalog_product WHERE id = ANY({keys})", keys=chosen))


def publish_products(*, products: QuerySet[Product], is_published: bool, at: datetime) -> int:
    """Publish (or unpublish) the products, some thousand in a transaction; say how many changed."""
    changing = products.exclude(is_published=is_published).order_by("pk").select_for_update(no_key=True)
    number, last = 0, 0
    while True:
        with transaction.atomic():
            keys = list(changing.filter(pk__gt=last).values_list("pk", flat=True)[:MOST_AT_ONCE])
            number += Product.objects.filter(pk__in=keys).update(
                is_published=is_published, modified_at=at, version=F("version") + 1
            )
        if len(keys) < MOST_AT_ONCE:
            return number
        last = keys[-1]
