"""Medusa: customer groups are segments, promotions with a code coupons."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import jwt
import orjson
import psycopg

from bench.dataset.segments import FIRST_EMPTY_SEGMENT
from bench.load import Request
from bench.peers.peer import BATCHES, Asked, Peer, codes, copy_rows, segments_that_count, shoppers_of
from bench.requests import (
    BATCH,
    JSON,
    LISTED_SEGMENTS,
    PAGE,
    ShopRequests,
    batches_of,
    segment_id,
)
from bench.scales import CUSTOMER_SEGMENTS

SECRET = "signs-tokens-of-a-made-up-shop-only"
KEY = "pk_of_a_made_up_shop"
CHANNEL, REGION = "'channel'", "'region'"
SCRIPT = "node_modules/@medusajs/cli/cli.js"
IN_EMPTY_SEGMENTS = f"customer_group_id >= 's{FIRST_EMPTY_SEGMENT}'"


class Medusa(Peer):
    folder = "medusa"
    package = "@medusajs/medusa"
    prepare_command = ("node", SCRIPT, "db:migrate", "--execute-all-links")
    restoring = (
        f"DELETE FROM customer_group_customer WHERE {IN_EMPTY_SEGMENTS}",
        "DELETE FROM cart_promotion",
        "DELETE FROM cart_line_item_adjustment",
        "VACUUM customer_group_customer, cart_promotion, cart_line_item_adjustment",
    )

    @property
    def start_command(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("node", SCRIPT, "start", "-H", "127.0.0.1", "-p", str(self.port))

    def environment(self) -> Mapping[str, str]:
        user, password, host = (quote(self.address[name], safe="") for name in ("user", "password", "host"))
        url = f"postgres://{user}:{password}@{host}:{self.address['port']}/{self.database}"
        return {"DATABASE_URL": url, "JWT_SECRET": SECRET, "MEDUSA_DISABLE_TELEMETRY": "1"}

    def fill(self, target: psycopg.Connection) -> None:
        self.fill_shop(target)
        self.fill_catalog(target)
        self.fill_groups(target)
        self.fill_coupons(target)
        self.fill_carts(target)

    def fill_shop(self, target: psycopg.Connection) -> None:
        """Write what the first start would make, with a key that we know, and a region with euros."""
        copy_rows(target, "sales_channel", {"id": CHANNEL, "name": "'Main'"}, "")
        copy_rows(target, "store", {"id": "'store'", "default_sales_channel_id": CHANNEL}, "")
        key = {
            "id": "'key'",
            "token": f"'{KEY}'",
            "salt": "''",
            "redacted": "'pk'",
            "title": "'Storefront'",
            "type": "'publishable'",
            "created_by": "''",
        }
        copy_rows(target, "api_key", key, "")
        link = {"id": "'link'", "publishable_key_id": "'key'", "sales_channel_id": CHANNEL}
        copy_rows(target, "publishable_api_key_sales_channel", link, "")
        copy_rows(target, "region", {"id": REGION, "name": "'Europe'", "currency_code": "'eur'"}, "")

    def fill_catalog(self, target: psycopg.Connection) -> None:
        """Write products, and the tree: a category's path names the keys of all above it."""
        products = "FROM catalog_product"
        product = {
            "id": "external_id",
            "title": "name ->> 'en'",
            "handle": "external_id",
            "status": "'published'",
        }
        copy_rows(target, "product", product, products)
        variant = {
            "id": "'v' || external_id",
            "product_id": "external_id",
            "title": "name ->> 'en'",
            "sku": "code",
            "manage_inventory": "FALSE",
        }
        copy_rows(target, "product_variant", variant, products)
        in_channel = {
            "id": "external_id",
            "product_id": "external_id",
            "sales_channel_id": CHANNEL,
        }
        copy_rows(target, "product_sales_channel", in_channel, products)
        category = {
            "id": "below.external_id",
            "name": "below.name ->> 'en'",
            "handle": "below.code",
            "mpath": "string_agg(above.external_id, '.' ORDER BY above.level)",
            "is_active": "TRUE",
            "rank": "below.position",
            "parent_category_id": "max(above.external_id) FILTER (WHERE above.id = below.parent_id)",
        }
        copy_rows(
            target,
            "product_category",
            category,
            "FROM catalog_category AS above JOIN catalog_category AS below ON below.tree_id = above.tree_id"
            " AND below.lft BETWEEN above.lft AND above.rght"
            " WHERE above.tree_id = 1 AND above.level > 0 GROUP BY below.id ORDER BY below.level",
        )
        copy_rows(
            target,
            "product_category_product",
            {"product_id": "product.external_id", "product_category_id": "category.external_id"},
            "FROM catalog_categoryassignment AS place"
            " JOIN catalog_product AS product ON product.id = place.product_id"
            " JOIN catalog_category AS category ON category.id = place.category_id",
        )

    def fill_groups(self, target: psycopg.Connection) -> None:
        """Write all customers, the segments that are in effect or empty, and who belongs to them."""
        customer = {
            "id": "external_id",
            "first_name": "first_name",
            "last_name": "last_name",
            "email": "email",
            "has_account": "TRUE",
        }
        copy_rows(target, "customer", customer, "FROM accounts_customer WHERE tenant_id = 1")
        group = {"id": "external_id", "name": "name ->> 'en'"}
        copy_rows(
            target, "customer_group", group, f"FROM segments_segment WHERE {segments_that_count(self.scale)}"
        )
        member = {
            "id": "'m' || its.id",
            "customer_id": "customer.external_id",
            "customer_group_id": "segment.external_id",
        }
        copy_rows(
            target,
            "customer_group_customer",
            member,
            "FROM segments_customerassignment AS its"
            " JOIN accounts_customer AS customer ON customer.id = its.customer_id"
            " JOIN segments_segment AS segment ON segment.id = its.segment_id"
            f" WHERE its.tenant_id = 1 AND its.segment_id <= {self.scale.effective_segments}",
        )

    def fill_coupons(self, target: psycopg.Connection) -> None:
        coupons = "FROM coupons_coupon"
        promotion = {"id": "code", "code": "code", "type": "'standard'", "status": "'active'"}
        copy_rows(target, "promotion", promotion, coupons)
        method = {
            "id": "code",
            "promotion_id": "code",
            "type": "'percentage'",
            "target_type": "'order'",
            "allocation": "'across'",
            "value": "discount_percentage",
            "raw_value": raw("discount_percentage"),
            "currency_code": "'eur'",
        }
        copy_rows(target, "promotion_application_method", method, coupons)
        rule = {"id": "code", "attribute": "'customer.groups.id'", "operator": "'in'"}
        copy_rows(target, "promotion_rule", rule, coupons)
        copy_rows(
            target, "promotion_promotion_rule", {"promotion_id": "code", "promotion_rule_id": "code"}, coupons
        )
        copy_rows(
            target,
            "promotion_rule_value",
            {"id": "code", "promotion_rule_id": "code", "value": "its.segment_external_id"},
            f"{coupons} JOIN coupons_couponsegment AS its ON its.coupon_id = coupons_coupon.id",
        )

    def fill_carts(self, target: psycopg.Connection) -> None:
        """Write a cart with one line of 100 EUR for each shopper."""
        shoppers = f"FROM accounts_customer WHERE {shoppers_of(self.scale)}"
        cart = {
            "id": "external_id",
            "customer_id": "external_id",
            "email": "email",
            "region_id": REGION,
            "sales_channel_id": CHANNEL,
            "currency_code": "'eur'",
        }
        copy_rows(target, "cart", cart, shoppers)
        line = {
            "id": "external_id",
            "cart_id": "external_id",
            "title": "'What it costs'",
            "quantity": "1",
            "unit_price": "100",
            "raw_unit_price": raw("100"),
        }
        copy_rows(target, "cart_line_item", line, shoppers)

    def operations(self) -> dict[str, Asked]:
        shop = ShopRequests(self.scale)
        apply = Asked(
            [
                store(
                    "POST",
                    f"carts/{customer_id(shopper)}/promotions",
                    {"fields": "id,total,promotions.code"},
                    shopper=shopper,
                    body={"promo_codes": [code]},
                )
                for shopper, code in codes(shop)
            ],
            ("cart", "promotions"),
            entries=1,
            written="SELECT count(*) FROM cart_promotion WHERE deleted_at IS NULL",
        )
        return {
            "products of a category": Asked(
                [
                    store(
                        "GET",
                        "products",
                        {"category_id[]": f"k{shelf:06d}", "limit": PAGE, "fields": "id,title,handle"},
                        shopper=shopper,
                    )
                    for shopper, shelf in zip(shop.shoppers, shop.shelves, strict=True)
                ],
                ("products",),
                entries=PAGE,
            ),
            "whole category tree": Asked(
                [
                    store(
                        "GET",
                        "product-categories",
                        {
                            "limit": self.scale.categories,
                            "fields": "id,name,handle,rank,parent_category_id",
                        },
                    )
                ],
                ("product_categories",),
                entries=self.scale.categories,
            ),
            "segments of a customer": Asked(
                [
                    admin("GET", f"customers/{customer_id(shopper)}", {"fields": "id,*groups"})
                    for shopper in shop.shoppers
                ],
                ("customer", "groups"),
                entries=CUSTOMER_SEGMENTS,
            ),
            "customers of a segment, a page": Asked(
                [
                    admin(
                        "GET",
                        "customers",
                        {
                            "groups": segment_id(1 + place),
                            "limit": PAGE,
                            "fields": "id,first_name,last_name,email",
                        },
                    )
                    for place in range(LISTED_SEGMENTS)
                ],
                ("customers",),
                entries=PAGE,
            ),
            "add 200 customers": Asked(
                [
                    admin(
                        "POST",
                        f"customer-groups/s{segment}/customers",
                        {"fields": "id"},
                        body={"add": [customer_id(key) for key in keys]},
                    )
                    for segment, keys in batches_of(self.scale.customers, BATCHES)
                ],
                ("customer_group", "id"),
                written=f"SELECT count(*) FROM customer_group_customer WHERE {IN_EMPTY_SEGMENTS}",
                each=BATCH,
            ),
            "validate a coupon": apply,
            "redeem a coupon": apply,
        }


def raw(amount: str) -> str:
    """The exact amount beside a number, as an expression."""
    return f"json_build_object('value', ({amount})::text, 'precision', 20)"


def customer_id(key: int) -> str:
    return f"c{key:09d}"


def store(
    method: str, path: str, query: Mapping[str, object], *, shopper: int | None = None, body: object = None
) -> Request:
    """A request of a storefront, which has a shopper's token if they matter."""
    headers: tuple[tuple[str, str], ...] = (("x-publishable-api-key", KEY),)
    if shopper is not None:
        headers += (bearer("customer", customer_id(shopper)),)
    return request(method, f"/store/{path}", query, headers, body)


def admin(method: str, path: str, query: Mapping[str, object], *, body: object = None) -> Request:
    return request(method, f"/admin/{path}", query, (bearer("user", "backend"),), body)


def bearer(kind: str, key: str) -> tuple[str, str]:
    claims = {"actor_id": key, "actor_type": kind, "auth_identity_id": key, "app_metadata": {}}
    return "Authorization", f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"


def request(
    method: str,
    path: str,
    query: Mapping[str, object],
    headers: tuple[tuple[str, str], ...],
    body: object,
) -> Request:
    content = b"" if body is None else orjson.dumps(body)
    return Request(method, f"{path}?{urlencode(query)}", (*headers, *JSON), content)
