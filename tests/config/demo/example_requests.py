"""Requests to the demo shop, one for each operation, in an order in which all of them work.

Their answers are the examples of the OpenAPI document. Where an address or a body holds `{name}`, an earlier
answer was `saved` under that name.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Example:
    """A request. `saves` says what of its answer later requests need: a member by the name to save it as."""

    operation: str
    arguments: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: object = None
    caller: str = "service"
    saves: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


HOUSEHOLD, COMPANY, CATEGORY, PRODUCT = "1", "riverside-catering", "deli", "1000059"
SEGMENT, COUPON = {"segmentId": "campaign-18"}, {"code": "C18-10000085479"}
OWN_SEGMENT = {"segmentId": "coffee-lovers"}
ITEM = {**OWN_SEGMENT, "type": "PRODUCT"}
MEMBER = {**OWN_SEGMENT, "customerId": HOUSEHOLD}
BUSINESS_MEMBER = {**OWN_SEGMENT, "customerId": "114", "legalEntityId": COMPANY}
FOREIGN_HASH = "pbkdf2_sha256$1000000$c2FsdA$TMEdSZ2mzhTHmgEEuoFEHE/oVSZEs0DRHm/yXxhNcB8="
PAGE = {"pageSize": "2"}
SET = {"key": "{set}"}
RULE = {"q": 'mixins.demographics.income:"50-74K" onHold:false', "mode": "LIVE"}
ORDER = {
    "orderTotal": {"amount": 24.90, "currency": "USD"},
    "discount": {"amount": 2, "currency": "USD"},
    "customerNumber": HOUSEHOLD,
}
CART = {
    "customerNumber": HOUSEHOLD,
    "currency": "USD",
    "items": [{"id": PRODUCT, "amount": 12.5, "quantity": 5}, {"id": "1000060", "amount": 4.99}],
    "shipping": 3.9,
}
CART_TO_RESERVE = {**CART, "codes": ["COFFEE-CART"], "ttlSeconds": 600}
SEGMENT_BODY = {
    "name": {"en": "Coffee lovers", "de": "Kaffeefreunde"},
    "siteCode": "main",
    "status": "ACTIVE",
    "validity": {"from": "2026-01-01T00:00:00.000Z", "to": "2026-12-31T23:59:59.999Z"},
}
CATEGORY_BODY = {
    "localizedName": {"en": "Coffee bar", "de": "Kaffeebar"},
    "parentId": CATEGORY,
    "published": True,
}
COUPON_BODY = {
    "code": "COFFEE10",
    "name": "Ten percent for coffee lovers",
    "discountType": "PERCENT",
    "discountPercentage": 10,
    "segmentRestricted": True,
    "restrictions": {"segments": ["coffee-lovers"], "validUntil": "2026-12-31T23:59:59.999Z"},
}
CART_COUPON = {
    "code": "COFFEE-CART",
    "name": "Five percent on every cart",
    "discountType": "PERCENT",
    "discountPercentage": 5,
}
CAMPAIGN_TERMS = {
    "name": "Welcome",
    "discountType": "ABSOLUTE",
    "discountAbsolute": {"amount": 5, "currency": "USD"},
}
PRODUCT_BODY = {"code": "COFFEE-1KG", "name": {"en": "Coffee, 1 kg", "de": "Kaffee, 1 kg"}, "published": True}
ENTITY_BODY = {"name": "Corner Coffee Ltd.", "type": "SUBSIDIARY", "parentId": COMPANY}
CONTACT_BODY = {"legalEntity": {"id": COMPANY}, "customer": {"id": "1000"}, "type": "CONTACT"}
PROFILE = {
    "contactEmail": "ann@example.com",
    "firstName": "Ann",
    "lastName": "Lee",
    "preferredLanguage": "en",
}
SITE_BODY = {
    "code": "cafe",
    "name": "Café",
    "active": True,
    "default": False,
    "defaultLanguage": "en",
    "languages": ["en", "de"],
    "currency": "USD",
    "homeBase": {"address": {"country": "US", "zipCode": "45202"}},
    "shipToCountries": ["US"],
}

TOKENS = [
    Example("GET-jwks", caller="nobody"),
    Example(
        "POST-oauth-request-client-credentials",
        body={
            "grant_type": "client_credentials",
            "client_id": "demo-backend",
            "client_secret": "demo-backend-secret",
        },
        caller="nobody",
        saves={"service": "access_token"},
    ),
    Example(
        "GET-oauth-generate-anonymous-access-token",
        query={"tenant": "demo", "client_id": "demo-storefront"},
        caller="nobody",
        saves={"anonymous": "access_token", "anonymous_refresh": "refresh_token"},
    ),
    Example(
        "GET-oauth-refresh-anonymous-access-token",
        query={"tenant": "demo", "client_id": "demo-storefront", "refresh_token": "{anonymous_refresh}"},
        caller="nobody",
        saves={"anonymous": "access_token"},
    ),
    Example(
        "POST-customer-create-customer-account",
        body={
            "email": "ben@example.com",
            "password": "a long password",
            "customerDetails": {"firstName": "Ben"},
        },
        caller="anonymous",
    ),
    Example(
        "POST-customer-authenticate-customer",
        body={"email": "ben@example.com", "password": "a long password"},
        caller="anonymous",
        saves={"customer": "access_token", "customer_refresh": "refresh_token"},
    ),
    Example(
        "GET-customer-refresh-authtoken",
        query={"refreshToken": "{customer_refresh}"},
        caller="customer",
        saves={"customer": "access_token"},
    ),
    Example("GET-coupon-list-own-coupons", caller="customer"),
    Example(
        "GET-customer-segment-retrieve-segment-set",
        query={"siteCode": "main"},
        caller="customer",
        saves={"set": "key"},
    ),
    Example("GET-customer-segment-retrieve-segment-set-items", SET, query=PAGE, caller="customer"),
    Example("GET-customer-segment-retrieve-segment-set-category-trees", SET, caller="customer"),
    Example(
        "GET-customer-segment-retrieve-segment-set-products",
        SET,
        query={"categoryId": "grocery.coffee", **PAGE},
        caller="customer",
    ),
    Example("GET-customer-validate-token", caller="customer"),
    Example("GET-customer-retrieve-customer-profile", caller="customer"),
    Example("PATCH-customer-update-customer", body={"lastName": "Miller"}, caller="customer"),
    Example(
        "POST-customer-change-account-password",
        body={"currentPassword": "a long password", "newPassword": "another long password"},
        caller="customer",
    ),
    Example("GET-customer-logout-customer", caller="customer"),
    Example(
        "POST-customer-exchange-authtoken", query={"subjectAccessToken": "a.b.c"}, caller="anonymous_again"
    ),
    Example(
        "POST-customer-login-customer-by-auth0",
        query={"code": "c0de", "redirect_uri": "https://shop.example/login"},
        caller="anonymous_again",
    ),
    Example(
        "POST-customer-request-reset-password", body={"email": "ben@example.com"}, caller="anonymous_again"
    ),
    Example(
        "POST-customer-reset-password",
        body={"token": "{reset}", "password": "a third long password"},
        caller="anonymous_again",
    ),
]
SEGMENTS = [
    Example("GET-customer-segment-retrieve-segments", query=PAGE),
    Example("POST-customer-segment-create-segment", body={"id": "coffee-lovers", **SEGMENT_BODY}),
    Example("GET-customer-segment-retrieve-segment", SEGMENT),
    Example("PUT-customer-segment-update-segment", OWN_SEGMENT, body=SEGMENT_BODY),
    Example(
        "PATCH-customer-segment-update-segment", OWN_SEGMENT, body={"description": {"en": "Who buy coffee"}}
    ),
    Example(
        "POST-customer-segment-create-segments-bulk",
        body=[{"id": "tea-lovers", **SEGMENT_BODY, "name": {"en": "Tea lovers"}}],
    ),
    Example(
        "PUT-customer-segment-update-segments-bulk",
        body=[{"id": "tea-lovers", **SEGMENT_BODY, "name": {"en": "Lovers of tea"}}, {"id": "cocoa-lovers"}],
    ),
    Example("DELETE-customer-segment-remove-segments-bulk", body=["tea-lovers"]),
    Example("POST-customer-segment-search-segments", query=PAGE, body={"q": "status:ACTIVE siteCode:main"}),
    Example("GET-customer-segment-retrieve-customers", SEGMENT, query=PAGE),
    Example("PUT-customer-segment-update-customer-by-customerId", MEMBER, body={}),
    Example("GET-customer-segment-retrieve-customer-by-customerId", MEMBER),
    Example("DELETE-customer-segment-remove-customer-by-customerId", MEMBER),
    Example("GET-customer-segment-retrieve-history", OWN_SEGMENT, query=PAGE, saves={"change": "0.id"}),
    Example("GET-customer-segment-retrieve-changes", query={**PAGE, "objectType": "segment-customer"}),
    Example(
        "POST-customer-segment-undo-change",
        {"changeId": "{change}"},
        headers={"Prefer": "respond-async"},
        saves={"undo_job": "id"},
    ),
    Example("GET-customer-segment-retrieve-undo-job", {"jobId": "{undo_job}"}),
    Example("PUT-customer-segment-update-customer", BUSINESS_MEMBER, body={}),
    Example("GET-customer-segment-retrieve-customer", BUSINESS_MEMBER),
    Example("DELETE-customer-segment-remove-customer", BUSINESS_MEMBER),
    Example(
        "PUT-customer-segment-update-customers-bulk",
        OWN_SEGMENT,
        body=[
            {"customerId": HOUSEHOLD},
            {"customerId": "114", "legalEntityId": COMPANY},
            {"customerId": "nobody"},
        ],
    ),
    Example(
        "POST-customer-segment-search-customers", SEGMENT, query=PAGE, body={"q": "customer.id:(1,1000)"}
    ),
    Example(
        "DELETE-customer-segment-remove-customers-bulk",
        OWN_SEGMENT,
        body=[{"customerId": "114", "legalEntityId": COMPANY}],
    ),
    Example("GET-customer-segment-retrieve-history", OWN_SEGMENT, query=PAGE),
    Example("GET-customer-segment-retrieve-changes", query=PAGE),
    Example("POST-customer-segment-preview-segment-change", SEGMENT, body={"change": "DELETE"}),
    Example(
        "POST-customer-segment-preview-segments-change",
        body={"segmentIds": [SEGMENT["segmentId"], "coffee-lovers"], "change": "DEACTIVATE"},
    ),
    Example(
        "POST-customer-segment-preview-category-change",
        body={"categoryId": CATEGORY, "change": "UNPUBLISH"},
    ),
    Example("GET-customer-segment-explain", query={"customerId": HOUSEHOLD, "category": "grocery.coffee"}),
    Example("GET-customer-segment-retrieve-findings", query={"name": "segment_without_items", "limit": "2"}),
    Example("GET-customer-segment-retrieve-calendar", query={"siteCode": "main"}),
    Example("GET-customer-segment-export-calendar", query={"siteCode": "main"}),
    Example(
        "POST-customer-segment-combine-members",
        OWN_SEGMENT,
        body={"from": ["campaign-18"], "minus": ["campaign-10"], "background": True},
        saves={"operation": "id"},
    ),
    Example("GET-customer-segment-retrieve-member-operation", {**OWN_SEGMENT, "operationId": "{operation}"}),
    Example(
        "POST-customer-segment-import",
        query={"kind": "members"},
        body='segmentId,customerId\ncoffee-lovers,2\ncoffee-lovers,"3\n',
        media_type="text/csv",
        headers={"Idempotency-Key": "members-of-today"},
        saves={"import": "id"},
    ),
    Example("GET-customer-segment-retrieve-import", {"importId": "{import}"}),
    Example("GET-customer-segment-retrieve-import-rejects", {"importId": "{import}"}),
    Example("DELETE-customer-segment-cancel-import", {"importId": "{import}"}),
    Example("POST-customer-segment-undo-import", {"importId": "{import}"}),
    Example("POST-customer-segment-preview-rule", body={"q": RULE["q"], "segmentId": "coffee-lovers"}),
    Example("PUT-customer-segment-upsert-rule", OWN_SEGMENT, body=RULE),
    Example("GET-customer-segment-retrieve-rule", OWN_SEGMENT),
    Example("POST-customer-segment-evaluate-rule", OWN_SEGMENT, saves={"evaluation": "id"}),
    Example("GET-customer-segment-retrieve-rule-evaluation", {**OWN_SEGMENT, "evaluationId": "{evaluation}"}),
    Example("GET-customer-segment-explain-rule", OWN_SEGMENT, query={"customerId": HOUSEHOLD}),
    Example("DELETE-customer-segment-remove-customer-by-customerId", MEMBER),
    Example("GET-customer-segment-retrieve-rule-exclusions", OWN_SEGMENT),
    Example("DELETE-customer-segment-lift-rule-exclusion", MEMBER),
    Example("DELETE-customer-segment-remove-rule", OWN_SEGMENT, query={"keepMembers": "true"}),
    Example("GET-customer-segment-retrieve-segment-items", SEGMENT, query=PAGE),
    Example("PUT-customer-segment-update-item", {**ITEM, "itemId": PRODUCT}, body={}),
    Example("GET-customer-segment-retrieve-item", {**ITEM, "itemId": PRODUCT}),
    Example("DELETE-customer-segment-remove-item", {**ITEM, "itemId": PRODUCT}),
    Example(
        "PUT-customer-segment-update-items-bulk",
        {**OWN_SEGMENT, "type": "CATEGORY"},
        body=[{"id": "grocery.coffee", "includeSubcategories": True}],
    ),
    Example("POST-customer-segment-search-items", SEGMENT, query=PAGE, body={"q": "type:PRODUCT"}),
    Example("DELETE-customer-segment-remove-items-bulk", ITEM, body=[PRODUCT]),
    Example("GET-customer-segment-retrieve-segments-items", query={"customerId": HOUSEHOLD, **PAGE}),
    Example("GET-customer-segment-retrieve-category-trees", query={"customerId": HOUSEHOLD}),
    Example(
        "POST-customer-segment-check-match",
        body={
            "items": [{"id": PRODUCT}, {"id": "1000092"}],
            "segmentIds": ["campaign-18", "coffee-lovers"],
            "siteCode": "main",
        },
    ),
]
CATEGORIES = [
    Example("GET-category-tree-list-categories", query=PAGE, caller="anonymous_again"),
    Example("POST-category-tree-create-category", body={"id": "coffee-bar", **CATEGORY_BODY}),
    Example("GET-category-tree-retrieve-category", {"categoryId": "coffee-bar"}),
    Example("PUT-category-tree-update-category", {"categoryId": "tea-bar"}, body=CATEGORY_BODY),
    Example("PATCH-category-tree-update-category", {"categoryId": "tea-bar"}, body={"position": 0}),
    Example("DELETE-category-tree-remove-category", {"categoryId": "tea-bar"}),
    Example("GET-category-tree-retrieve-category-parents", {"categoryId": "coffee-bar"}),
    Example("GET-category-tree-list-subcategories", {"categoryId": CATEGORY}, query=PAGE),
    Example("POST-category-tree-search-categories", query=PAGE, body={"q": 'localizedName.en:~"coffee"'}),
    Example("GET-category-tree-retrieve-category-tree-deprecated"),
    Example("GET-category-tree-retrieve-category-tree"),
    Example("GET-category-tree-retrieve-category-tree-by-id", {"categoryId": "automotive"}),
    Example("POST-category-tree-rebuild-category-tree", {"rootCategoryId": "automotive"}),
    Example("POST-category-tree-search-category-trees", body={"categoryIds": ["automotive"]}),
    Example(
        "POST-category-tree-assign-resource",
        {"categoryId": "coffee-bar"},
        body={"ref": {"id": PRODUCT, "type": "PRODUCT"}},
        saves={"assignment": "id"},
    ),
    Example("GET-category-tree-retrieve-category-assignments", {"categoryId": "coffee-bar"}),
    Example("GET-category-tree-list-categories-by-reference-id", {"referenceId": PRODUCT}),
    Example(
        "DELETE-category-tree-remove-category-assignment",
        {"categoryId": "coffee-bar", "assignmentId": "{assignment}"},
    ),
    Example(
        "POST-category-tree-assign-category-resources",
        {"categoryId": "coffee-bar"},
        body=[{"ref": {"id": PRODUCT, "type": "PRODUCT"}}, {"ref": {"id": "nothing", "type": "PRODUCT"}}],
    ),
    Example("PUT-category-tree-assign-resource", {"categoryId": "coffee-bar", "referenceId": "1000092"}),
    Example(
        "DELETE-category-tree-remove-category-assignment-by-reference-id",
        {"categoryId": "coffee-bar", "referenceId": "1000092"},
    ),
    Example(
        "PUT-category-tree-update-category-assignments",
        {"categoryId": "coffee-bar"},
        body=[{"ref": {"id": PRODUCT}}, {"ref": {"id": "1000143"}}],
    ),
    Example("DELETE-category-tree-remove-all-category-assignments", {"categoryId": "coffee-bar"}),
    Example("DELETE-category-tree-remove-all-assignments", {"referenceId": "1000143"}),
]
COUPONS = [
    Example("GET-coupon-list-specified-coupons", query=PAGE),
    Example("POST-coupon-create-coupon", body=CART_COUPON),
    Example("POST-coupon-create-coupon", body=COUPON_BODY),
    Example("GET-coupon-retrieve-coupon", COUPON),
    Example("PUT-coupon-update-coupon", {"code": "COFFEE10"}, body={**COUPON_BODY, "maxRedemptions": 100}),
    Example("PATCH-coupon-update-coupon", {"code": "COFFEE10"}, body={"discountPercentage": 15}),
    Example("DELETE-coupon-remove-coupon", {"code": "COFFEE10"}),
    Example("POST-coupon-validate-coupon", COUPON, body=ORDER),
    Example(
        "POST-coupon-invalidate-coupon",
        COUPON,
        body={**ORDER, "orderCode": "100023"},
        saves={"redemption": "id"},
    ),
    Example("GET-coupon-list-coupon-redemptions", COUPON, query=PAGE),
    Example("GET-coupon-retrieve-coupon-redemption", {**COUPON, "id": "{redemption}"}),
    Example("DELETE-coupon-remove-coupon-redemption", {**COUPON, "id": "{redemption}"}),
    Example(
        "POST-coupon-reserve",
        COUPON,
        body={**ORDER, "ttlSeconds": 600},
        saves={"reservation": "id"},
    ),
    Example("GET-coupon-list-reservations", COUPON, query=PAGE),
    Example("GET-coupon-retrieve-reservation", {**COUPON, "id": "{reservation}"}),
    Example("DELETE-coupon-release-reservation", {**COUPON, "id": "{reservation}"}),
    Example(
        "POST-coupon-reserve",
        COUPON,
        body={**ORDER, "ttlSeconds": 600},
        saves={"reservation": "id"},
    ),
    Example(
        "POST-coupon-confirm-reservation",
        {**COUPON, "id": "{reservation}"},
        body={"orderCode": "ORDER-1002"},
    ),
    Example(
        "POST-coupon-create-campaign",
        body={"id": "welcome", "prefix": "HI-", "count": 2, "template": CAMPAIGN_TERMS},
    ),
    Example("GET-coupon-retrieve-campaign", {"id": "welcome"}),
    Example("GET-coupon-list-campaigns", query=PAGE),
    Example("POST-coupon-export-campaign", {"id": "welcome"}),
    Example("POST-coupon-deactivate-campaign", {"id": "welcome"}),
    Example("GET-coupon-retrieve-report", query={"groupBy": "segment"}),
    Example("POST-coupon-validate-cart", body={**CART, "codes": ["COFFEE-CART", COUPON["code"], "MYCODE"]}),
    Example("POST-coupon-reserve-cart", body=CART_TO_RESERVE, saves={"cart": "id"}),
    Example("DELETE-coupon-release-cart-reservation", {"id": "{cart}"}),
    Example("POST-coupon-reserve-cart", body=CART_TO_RESERVE, saves={"cart": "id"}),
    Example("POST-coupon-confirm-cart-reservation", {"id": "{cart}"}, body={"orderCode": "ORDER-1003"}),
    Example("POST-coupon-create-referral-coupon-code", {"customerNumber": HOUSEHOLD}),
    Example("GET-coupon-retrieve-referral-coupon", {"customerNumber": HOUSEHOLD}),
]
NEIGHBOURS = [
    Example("GET-customer-tenant-list-customers", query=PAGE),
    Example(
        "POST-customer-tenant-create-customer", body={"id": "ann", **PROFILE, "password": "a long password"}
    ),
    Example("GET-customer-tenant-retrieve-customer", {"customerNumber": HOUSEHOLD}),
    Example("GET-customer-tenant-personal-data", {"customerNumber": HOUSEHOLD}),
    Example(
        "PUT-customer-tenant-update-customer",
        {"customerNumber": "cleo"},
        body={**PROFILE, "contactEmail": "cleo@example.com"},
    ),
    Example("PATCH-customer-tenant-update-customer", {"customerNumber": "cleo"}, body={"firstName": "Cleo"}),
    Example("DELETE-customer-tenant-remove-customer", {"customerNumber": "cleo"}),
    Example("POST-customer-tenant-search", query=PAGE, body={"q": "id:(1,1000)"}),
    Example(
        "POST-customer-tenant-configure-password-migration-retention",
        body={"retentionEndDate": "2026-12-31", "emailNotificationsEnabled": False},
    ),
    Example("GET-customer-tenant-retrieve-password-migration-retention"),
    Example(
        "POST-customer-tenant-import-customers",
        body=[
            {
                "id": "dora",
                "firstName": "Dora",
                "account": {
                    "email": "dora@example.com",
                    "passwordHash": FOREIGN_HASH,
                },
            }
        ],
    ),
    Example("DELETE-customer-tenant-remove-password-migration-retention"),
    Example("GET-customer-mgmt-list-legal-entities", query=PAGE),
    Example("POST-customer-mgmt-create-legal-entity", body={"id": "corner-coffee", **ENTITY_BODY}),
    Example("GET-customer-mgmt-retrieve-legal-entity", {"legalEntityId": "corner-coffee"}),
    Example(
        "GET-customer-mgmt-retrieve-legal-entity-parent-hierarchy",
        {"legalEntityId": "corner-coffee"},
    ),
    Example("PUT-customer-mgmt-update-legal-entity", {"legalEntityId": "corner-coffee"}, body=ENTITY_BODY),
    Example("POST-customer-mgmt-search-legal-entities", query=PAGE, body={"q": "type:COMPANY"}),
    Example("GET-customer-mgmt-list-contact-assignments", query=PAGE),
    Example("POST-customer-mgmt-create-contact-assignment", body={"id": "example-contact", **CONTACT_BODY}),
    Example(
        "GET-customer-mgmt-retrieve-contact-assignment",
        {"contactAssignmentId": "example-contact"},
    ),
    Example(
        "PUT-customer-mgmt-update-contact-assignment",
        {"contactAssignmentId": "example-contact"},
        body={**CONTACT_BODY, "type": "BILLING"},
    ),
    Example("DELETE-customer-mgmt-remove-contact-assignment", {"contactAssignmentId": "example-contact"}),
    Example("DELETE-customer-mgmt-remove-legal-entity", {"legalEntityId": "corner-coffee"}),
    Example("GET-product-list-products", query=PAGE),
    Example("POST-product-create-product", body={"id": "coffee-1kg", **PRODUCT_BODY}),
    Example("GET-product-retrieve-product", {"productId": "coffee-1kg"}),
    Example("PUT-product-update-product", {"productId": "coffee-1kg"}, body=PRODUCT_BODY),
    Example("PATCH-product-update-product", {"productId": "coffee-1kg"}, body={"published": False}),
    Example("DELETE-product-remove-product", {"productId": "coffee-1kg"}),
    Example(
        "POST-product-create-bulk-products",
        body=[{"id": "tea-1kg", "code": "TEA-1KG", "name": {"en": "Tea"}}],
    ),
    Example(
        "PUT-product-update-bulk-products",
        body=[{"id": "tea-1kg", "code": "TEA-1KG", "name": {"en": "Green tea"}}, {"id": "cocoa-1kg"}],
    ),
    Example("POST-product-search-products", query=PAGE, body={"q": "customerSegmentIds:campaign-18"}),
    Example("GET-site-settings-list-site-configurations"),
    Example("GET-site-settings-list-site-codes"),
    Example("POST-site-settings-create-site", body=SITE_BODY),
    Example("GET-site-settings-retrieve-site-config", {"siteCode": "main"}),
    Example("PUT-site-settings-update-site-config", {"siteCode": "cafe"}, body=SITE_BODY),
    Example("PATCH-site-settings-update-site", {"siteCode": "cafe"}, body={"name": "Coffee house"}),
    Example("DELETE-site-settings-remove-site", {"siteCode": "cafe"}),
]
WEBHOOK = {"code": "http"}
WEBHOOKS = [
    Example(
        "POST-webhook-create-config",
        body={
            **WEBHOOK,
            "provider": "HTTP",
            "active": True,
            "configuration": {
                "destinationUrl": "https://shop.example/webhook",
                "secretKey": "a-long-random-text",
                "headers": {"X-Shop": {"value": "demo"}},
                "eventsConfiguration": [
                    {
                        "eventType": "coupon.created",
                        "name": "ERP",
                        "destinationUrl": "https://erp.example/coupons",
                        "filter": "$[?(@.discountType == 'PERCENT')]",
                        "excludedFields": ["mixins"],
                    }
                ],
            },
        },
    ),
    Example("GET-webhook-list-configs"),
    Example(
        "GET-webhook-retrieve-config", WEBHOOK, saves={"target": "configuration.eventsConfiguration.0.id"}
    ),
    Example("PUT-webhook-update-config", WEBHOOK, body={"provider": "HTTP", "active": True}),
    Example(
        "PATCH-webhook-update-config",
        WEBHOOK,
        body=[
            {
                "op": "UPSERT",
                "path": "/configuration/http/eventsConfigurationEntry/{target}/name",
                "value": "ERP of the shop",
            }
        ],
    ),
    Example(
        "PATCH-webhook-manage-event-subscriptions",
        body=[
            {
                "eventType": "coupon.created",
                "action": "SUBSCRIBE",
                "fieldsToUnsubscribe": ["description"],
            }
        ],
    ),
    Example("GET-webhook-list-all-event-subscriptions"),
    Example("POST-webhook-send-test-event", {"id": "{target}"}, saves={"delivery": "deliveryId"}),
    Example("GET-webhook-list-deliveries", query={**PAGE, "state": "PENDING"}),
    Example("GET-webhook-retrieve-delivery", {"id": "{delivery}"}),
    Example("POST-webhook-retry-delivery", {"id": "{delivery}"}),
    Example("POST-webhook-replay-deliveries", {"id": "{target}"}, body={"since": "2026-03-01T08:00:00.000Z"}),
    Example("GET-webhook-retrieve-statistics", query={"fromYearMonth": "2026-01", "toYearMonth": "2026-02"}),
    Example("GET-customer-segment-retrieve-events", query={"types": "coupon.created"}),
    Example("GET-webhook-access-tenant-svix"),
    Example("DELETE-webhook-remove-config", WEBHOOK, query={"force": "true"}),
]
LAST = [Example("DELETE-customer-segment-remove-segment", OWN_SEGMENT, query={"forceDelete": "true"})]
EXAMPLES = [*TOKENS, *SEGMENTS, *CATEGORIES, *COUPONS, *NEIGHBOURS, *WEBHOOKS, *LAST]
