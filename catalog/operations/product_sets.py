"""Writes to many products at once, chosen by a queryset."""

from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, QuerySet

from catalog.models import Product


@transaction.atomic
def delete_products(*, products: QuerySet[Product]) -> int:
    """Delete the products and all their assignments; say how many products.

    Products are locked before their assignments, and both in key order, as every deletion does.
    """
    keys = list(products.order_by("pk").select_for_update().values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM catalog_categoryassignment WHERE product_id = ANY(%s::bigint[])"
            " AND tenant_id IN (SELECT tenant_id FROM catalog_product WHERE id = ANY(%s::bigint[]))"
            " ORDER BY id FOR UPDATE",
            [keys, keys],
        )
        cursor.execute("DELETE FROM catalog_product WHERE id = ANY(%s::bigint[])", [keys])
        return cursor.rowcount


@transaction.atomic
def publish_products(*, products: QuerySet[Product], is_published: bool, at: datetime) -> int:
    """Publish (or unpublish) the products; say how many changed."""
    changing = products.exclude(is_published=is_published).order_by("pk").select_for_update()
    return Product.objects.filter(pk__in=list(changing.values_list("pk", flat=True))).update(
        is_published=is_published, modified_at=at, version=F("version") + 1
    )
