"""Vendure: collections are categories, customer groups segments, promotions with a code coupons."""

from collections.abc import Mapping
from typing import Any

import orjson
import psycopg

from bench.dataset.segments import FIRST_EMPTY_SEGMENT
from bench.load import Request
from bench.peers.peer import BATCHES, Asked, Peer, codes, copy_rows, segments_that_count, shoppers_of
from bench.requests import BATCH, JSON, LISTED_SEGMENTS, PAGE, ShopRequests, batches_of
from bench.scales import CUSTOMER_SEGMENTS

CHANNEL, TAX_CATEGORY, TAX_ZONE, BACKEND = "1", "1", "1", "1"  # the keys that a new database has
SESSION = "session-of-"
FAR_AWAY = "'2199-12-31'"

SHELF = """query ($id: ID!, $take: Int!) { collection(id: $id) {
  productVariants(options: {take: $take}) { items { id sku name product { id } } } } }"""
TREE = (
    "query ($take: Int!) { collections(options: {take: $take}) { items { id parentId name slug position } } }"
)
GROUPS = "query ($id: ID!) { customer(id: $id) { groups { id name createdAt updatedAt } } }"
MEMBERS = """query ($id: ID!, $take: Int!) { customerGroup(id: $id) {
  customers(options: {take: $take}) { items { id firstName lastName emailAddress } } } }"""
ADD = """mutation ($id: ID!, $customers: [ID!]!) {
  addCustomersToGroup(customerGroupId: $id, customerIds: $customers) { id } }"""
APPLY = """mutation ($code: String!) { applyCouponCode(couponCode: $code) {
  ... on Order { couponCodes totalWithTax } ... on ErrorResult { errorCode } } }"""


class Vendure(Peer):
    folder = "vendure"
    package = "@vendure/core"
    prepare_command = ("node", "server.mjs", "prepare")
    start_command = ("node", "server.mjs")
    restoring = (
        f'DELETE FROM customer_groups_customer_group WHERE "customerGroupId" >= {FIRST_EMPTY_SEGMENT}',
        "DELETE FROM history_entry",
        "DELETE FROM order_promotions_promotion",
        """UPDATE "order" SET "couponCodes" = '' WHERE "couponCodes" <> ''""",
        "UPDATE order_line SET adjustments = '[]' WHERE adjustments <> '[]'",
        "VACUUM customer_groups_customer_group, history_entry, order_promotions_promotion",
        'VACUUM "order", order_line',
    )

    def environment(self) -> Mapping[str, str]:
        given = {f"PG{name.upper()}": value for name, value in self.address.items()}
        return {**given, "PGDATABASE": self.database, "PORT": str(self.port)}

    def fill(self, target: psycopg.Connection) -> None:
        target.execute(
            """UPDATE channel SET "defaultCurrencyCode" = 'EUR', "availableCurrencyCodes" = 'EUR',"""
            """ "availableLanguageCodes" = 'en,de'"""
        )
        self.fill_catalog(target)
        self.fill_groups(target)
        self.fill_coupons(target)
        self.fill_carts(target)

    def fill_catalog(self, target: psycopg.Connection) -> None:
        """Write products with one variant of a price, and the tree below a root as ours is."""
        products = "FROM catalog_product"
        copy_rows(target, "product", {"id": "id", "enabled": "is_published"}, products)
        copy_rows(target, "product_channels_channel", {"productId": "id", "channelId": CHANNEL}, products)
        variant = {
            "id": "id",
            "productId": "id",
            "sku": "code",
            "enabled": "is_published",
            "trackInventory": "'FALSE'",
            "taxCategoryId": TAX_CATEGORY,
        }
        copy_rows(target, "product_variant", variant, products)
        in_channel = {"productVariantId": "id", "channelId": CHANNEL}
        copy_rows(target, "product_variant_channels_channel", in_channel, products)
        price = {"variantId": "id", "channelId": CHANNEL, "currencyCode": "'EUR'", "price": "10000"}
        copy_rows(target, "product_variant_price", price, products)
        text = {"baseId": "id", "languageCode": "language", "name": "name ->> language"}
        described = {**text, "slug": "external_id", "description": "''"}
        in_languages = "CROSS JOIN (VALUES ('en'), ('de')) AS spoken (language)"
        copy_rows(target, "product_translation", described, f"{products} {in_languages}")
        copy_rows(target, "product_variant_translation", text, f"{products} {in_languages}")

        categories = "FROM catalog_category WHERE tree_id = 1"
        # a parent before its children, which refer to it
        collection = {
            "id": "id",
            "parentId": "parent_id",
            "isRoot": "parent_id IS NULL",
            "position": "position",
            "filters": "'[]'",
        }
        copy_rows(target, "collection", collection, f"{categories} ORDER BY level")
        copy_rows(
            target, "collection_channels_channel", {"collectionId": "id", "channelId": CHANNEL}, categories
        )
        copy_rows(
            target,
            "collection_translation",
            {**described, "name": "coalesce(name ->> language, '')", "slug": "coalesce(code, external_id)"},
            f"FROM catalog_category {in_languages} WHERE tree_id = 1",
        )
        copy_rows(
            target,
            "collection_closure",
            {"id_ancestor": "above.id", "id_descendant": "below.id"},
            "FROM catalog_category AS above JOIN catalog_category AS below ON below.tree_id = above.tree_id"
            " AND below.lft BETWEEN above.lft AND above.rght WHERE above.tree_id = 1",
        )
        copy_rows(
            target,
            "collection_product_variants_product_variant",
            {"collectionId": "category_id", "productVariantId": "product_id"},
            "FROM catalog_categoryassignment",
        )

    def fill_groups(self, target: psycopg.Connection) -> None:
        """Write all customers as users, the segments that are in effect or empty, and who belongs to them."""
        customers = "FROM accounts_customer WHERE tenant_id = 1"
        user = f"id + {BACKEND}"
        copy_rows(target, "user", {"id": user, "identifier": "email", "verified": "TRUE"}, customers)
        [(role,)] = target.execute("SELECT id FROM role WHERE code = '__customer_role__'").fetchall()
        copy_rows(target, "user_roles_role", {"userId": user, "roleId": str(role)}, customers)
        customer = {
            "id": "id",
            "firstName": "first_name",
            "lastName": "last_name",
            "emailAddress": "email",
            "userId": user,
        }
        copy_rows(target, "customer", customer, customers)
        copy_rows(target, "customer_channels_channel", {"customerId": "id", "channelId": CHANNEL}, customers)
        copy_rows(
            target,
            "customer_group",
            {"id": "id", "name": "name ->> 'en'"},
            f"FROM segments_segment WHERE {segments_that_count(self.scale)}",
        )
        copy_rows(
            target,
            "customer_groups_customer_group",
            {"customerId": "customer_id", "customerGroupId": "segment_id"},
            "FROM segments_customerassignment"
            f" WHERE tenant_id = 1 AND segment_id <= {self.scale.effective_segments}",
        )

    def fill_coupons(self, target: psycopg.Connection) -> None:
        def operation(code: str, name: str, value: str) -> str:
            return (
                f"json_build_array(json_build_object('code', '{code}', 'args',"
                f" json_build_array(json_build_object('name', '{name}', 'value', {value}))))"
            )

        coupons = "FROM coupons_coupon JOIN coupons_couponsegment AS its ON its.coupon_id = coupons_coupon.id"
        promotion = {
            "id": "coupons_coupon.id",
            "couponCode": "code",
            "enabled": "TRUE",
            "conditions": operation("customer_group", "customerGroupId", "its.segment_id::text"),
            "actions": operation("order_percentage_discount", "discount", "discount_percentage::int::text"),
            "priorityScore": "0",
        }
        copy_rows(target, "promotion", promotion, coupons)
        translation = {"baseId": "id", "languageCode": "'en'", "name": "name", "description": "''"}
        copy_rows(target, "promotion_translation", translation, "FROM coupons_coupon")
        copy_rows(
            target,
            "promotion_channels_channel",
            {"promotionId": "id", "channelId": CHANNEL},
            "FROM coupons_coupon",
        )

    def fill_carts(self, target: psycopg.Connection) -> None:
        """Write an open order with one line of 100 EUR for each shopper, and the sessions of all who ask."""
        shoppers = f"FROM accounts_customer WHERE {shoppers_of(self.scale)}"
        order = {
            "id": "id",
            "code": "'CART-' || id",
            "state": "'AddingItems'",
            "couponCodes": "''",
            "shippingAddress": "'{}'",
            "billingAddress": "'{}'",
            "currencyCode": "'EUR'",
            "customerId": "id",
            "taxZoneId": TAX_ZONE,
            "subTotal": "10000",
            "subTotalWithTax": "11900",
        }
        copy_rows(target, "order", order, shoppers)
        copy_rows(target, "order_channels_channel", {"orderId": "id", "channelId": CHANNEL}, shoppers)
        line = {
            "orderId": "id",
            "productVariantId": "id",
            "quantity": "1",
            "listPriceIncludesTax": "FALSE",
            "initialListPrice": "10000",
            "listPrice": "10000",
            "taxCategoryId": TAX_CATEGORY,
            "adjustments": "'[]'",
            "taxLines": "'[]'",
        }
        copy_rows(target, "order_line", line, shoppers)
        session = {
            "token": f"'{SESSION}' || id",
            "userId": f"id + {BACKEND}",
            "activeOrderId": "id",
            "expires": FAR_AWAY,
            "invalidated": "FALSE",
            "authenticationStrategy": "'native'",
            "type": "'AuthenticatedSession'",
        }
        copy_rows(target, "session", session, shoppers)
        backend = {**session, "token": f"'{SESSION}backend'", "userId": BACKEND, "activeOrderId": "NULL::int"}
        copy_rows(target, "session", backend, "")

    def operations(self) -> dict[str, Asked]:
        shop = ShopRequests(self.scale)
        shelves = [
            asked(shopper, SHELF, id=shelf, take=PAGE)
            for shopper, shelf in zip(shop.shoppers, shop.shelves, strict=True)
        ]
        apply = Asked(
            [asked(shopper, APPLY, code=code) for shopper, code in codes(shop)],
            ("data", "applyCouponCode", "couponCodes"),
            entries=1,
            written="""SELECT count(*) FROM history_entry WHERE type = 'ORDER_COUPON_APPLIED'""",
        )
        return {
            "products of a category": Asked(
                shelves, ("data", "collection", "productVariants", "items"), entries=PAGE
            ),
            "whole category tree": Asked(
                [asked(None, TREE, take=self.scale.categories)],
                ("data", "collections", "items"),
                entries=self.scale.categories,
            ),
            "segments of a customer": Asked(
                [backend(GROUPS, id=shopper) for shopper in shop.shoppers],
                ("data", "customer", "groups"),
                entries=CUSTOMER_SEGMENTS,
            ),
            "customers of a segment, a page": Asked(
                [backend(MEMBERS, id=1 + place, take=PAGE) for place in range(LISTED_SEGMENTS)],
                ("data", "customerGroup", "customers", "items"),
                entries=PAGE,
            ),
            "add 200 customers": Asked(
                [
                    backend(ADD, id=segment, customers=list(keys))
                    for segment, keys in batches_of(self.scale.customers, BATCHES)
                ],
                ("data", "addCustomersToGroup", "id"),
                written="SELECT count(*) FROM customer_groups_customer_group"
                f' WHERE "customerGroupId" >= {FIRST_EMPTY_SEGMENT}',
                each=BATCH,
            ),
            "validate a coupon": apply,
            "redeem a coupon": apply,
        }


def backend(query: str, **variables: Any) -> Request:
    return post("/admin-api", "backend", query, variables)


def asked(shopper: int | None, query: str, **variables: Any) -> Request:
    return post("/shop-api", shopper, query, variables)


def post(path: str, caller: int | str | None, query: str, variables: Mapping[str, Any]) -> Request:
    headers = JSON if caller is None else (*JSON, ("Authorization", f"Bearer {SESSION}{caller}"))
    return Request("POST", path, headers, orjson.dumps({"query": query, "variables": variables}))
