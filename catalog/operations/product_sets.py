"""Writes to many products at once, chosen by a queryset."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet

from catalog.models import Product
from core.sql.composition import param, sql
from core.sql.fetching import execute


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


@transaction.atomic
def publish_products(*, products: QuerySet[Product], is_published: bool, at: datetime) -> int:
    """Publish (or unpublish) the products; say how many changed."""
    changing = products.exclude(is_published=is_published).order_by("pk").select_for_update(no_key=True)
    return Product.objects.filter(pk__in=list(changing.values_list("pk", flat=True))).update(
        is_published=is_published, modified_at=at, version=F("version") + 1
    )
