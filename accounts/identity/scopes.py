"""Every scope that a token can carry, and which scope implies which."""

from collections.abc import Iterable
from functools import lru_cache

SEGMENT_MANAGE = "customersegment.segment_manage"
SEGMENT_READ = "customersegment.segment_read"
SEGMENT_READ_OWN = "customersegment.segment_read_own"
SEGMENT_SET_READ = "customersegment.segmentset_read"
SEGMENT_SET_READ_OWN = "customersegment.segmentset_read_own"
COUPON_MANAGE = "coupon.coupon_manage"
COUPON_READ = "coupon.coupon_read"
COUPON_REDEEM = "coupon.coupon_redeem"
COUPON_REDEEM_ON_BEHALF = "coupon.coupon_redeem_on_behalf"
CATEGORY_MANAGE = "category.category_manage"
CATEGORY_PUBLISH = "category.category_publish"
CATEGORY_UNPUBLISH = "category.category_unpublish"
CATEGORY_READ_UNPUBLISHED = "category.category_read_unpublished"
PRODUCT_MANAGE = "product.product_manage"
PRODUCT_PUBLISH = "product.product_publish"
PRODUCT_UNPUBLISH = "product.product_unpublish"
PRODUCT_READ_UNPUBLISHED = "product.product_read_unpublished"
CUSTOMER_READ = "customer.customer_read"
CUSTOMER_READ_OWN = "customer.customer_read_own"
CUSTOMER_MANAGE = "customer.customer_manage"
CUSTOMER_MANAGE_OWN = "customer.customer_manage_own"
CUSTOMER_IMPORT_READ = "customer.import_read"
CUSTOMER_IMPORT_MANAGE = "customer.import_manage"
PROFILE_VIEW = "customer.customerprofile_view"
PROFILE_EDIT = "customer.customerprofile_edit"
LEGAL_ENTITY_READ = "customermanagement.legalentity_read"
LEGAL_ENTITY_READ_OWN = "customermanagement.legalentity_read_own"
LEGAL_ENTITY_MANAGE = "customermanagement.legalentity_manage"
CONTACT_READ = "customermanagement.contactassignment_read"
CONTACT_MANAGE = "customermanagement.contactassignment_manage"
SITE_READ = "site.site_read"
SITE_MANAGE = "site.site_manage"
WEBHOOK_READ = "webhook.subscription_read"
WEBHOOK_MANAGE = "webhook.subscription_manage"

IMPLIED = {
    SEGMENT_MANAGE: (SEGMENT_READ,),
    COUPON_MANAGE: (COUPON_READ,),
    PRODUCT_MANAGE: (PRODUCT_READ_UNPUBLISHED,),
    CATEGORY_MANAGE: (CATEGORY_READ_UNPUBLISHED,),
    CUSTOMER_MANAGE: (CUSTOMER_READ,),
    CUSTOMER_IMPORT_MANAGE: (CUSTOMER_IMPORT_READ,),
    LEGAL_ENTITY_MANAGE: (LEGAL_ENTITY_READ,),
    CONTACT_MANAGE: (CONTACT_READ,),
    SITE_MANAGE: (SITE_READ,),
    WEBHOOK_MANAGE: (WEBHOOK_READ,),
}

SERVICE_SCOPES = tuple(
    sorted(
        value
        for name, value in list(globals().items())
        if name.isupper() and isinstance(value, str) and "." in value and not value.endswith("_own")
    )
)
CUSTOMER_SCOPES = (
    SEGMENT_READ_OWN,
    SEGMENT_SET_READ,
    SEGMENT_SET_READ_OWN,
    COUPON_REDEEM,
    CUSTOMER_READ_OWN,
    CUSTOMER_MANAGE_OWN,
    PROFILE_VIEW,
    PROFILE_EDIT,
    LEGAL_ENTITY_READ_OWN,
)
# Coupons may allow anonymous use; answers for a set of segments are shared by whoever has its key.
ANONYMOUS_SCOPES = (COUPON_REDEEM, SEGMENT_SET_READ)


@lru_cache(maxsize=256)
def scopes_of_claim(claim: str) -> frozenset[str]:
    """Return the scopes that a token names, and all that they imply. Tokens of a kind share one set."""
    return with_implied(claim.split())


def with_implied(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes and all that they imply: `..._manage` implies the read."""
    granted = set(scopes)
    for scope in tuple(granted):
        granted.update(IMPLIED.get(scope, ()))
    return frozenset(granted)


MEANINGS = {
    SEGMENT_MANAGE: "Create, change and delete segments and their assignments.",
    SEGMENT_READ: "Read all segments, and preview what a customer sees.",
    SEGMENT_READ_OWN: "Read the segments that count for oneself.",
    SEGMENT_SET_READ: "Read what is shown to a set of segments whose key one has.",
    SEGMENT_SET_READ_OWN: "Read the key of the segments that count for oneself.",
    COUPON_MANAGE: "Create, change and delete coupons, and read and delete redemptions.",
    COUPON_READ: "Read coupons.",
    COUPON_REDEEM: "Redeem coupons for oneself.",
    COUPON_REDEEM_ON_BEHALF: "Redeem coupons for another customer.",
    CATEGORY_MANAGE: "Create, change and delete categories and their assignments.",
    CATEGORY_PUBLISH: "Publish categories.",
    CATEGORY_UNPUBLISH: "Take published categories back.",
    CATEGORY_READ_UNPUBLISHED: "Read categories that are not published.",
    PRODUCT_MANAGE: "Create, change and delete products.",
    PRODUCT_PUBLISH: "Publish products.",
    PRODUCT_UNPUBLISH: "Take published products back.",
    PRODUCT_READ_UNPUBLISHED: "Read products that are not published.",
    CUSTOMER_READ: "Read customers.",
    CUSTOMER_READ_OWN: "Read one's own customer.",
    CUSTOMER_MANAGE: "Create, change and delete customers.",
    CUSTOMER_MANAGE_OWN: "Change and delete one's own customer.",
    CUSTOMER_IMPORT_READ: "Read until when password hashes of another system are kept.",
    CUSTOMER_IMPORT_MANAGE: "Import customers with their password hashes.",
    PROFILE_VIEW: "Read one's own profile.",
    PROFILE_EDIT: "Change one's own profile.",
    LEGAL_ENTITY_READ: "Read legal entities.",
    LEGAL_ENTITY_READ_OWN: "Read the legal entities that one is a contact of.",
    LEGAL_ENTITY_MANAGE: "Create, change and delete legal entities.",
    CONTACT_READ: "Read who is a contact of which legal entity.",
    CONTACT_MANAGE: "Make and delete contacts of legal entities.",
    SITE_READ: "Read sites.",
    SITE_MANAGE: "Create, change and delete sites.",
    WEBHOOK_READ: "Read webhook configurations, subscriptions to events, and deliveries.",
    WEBHOOK_MANAGE: "Configure webhooks, subscribe to events, and send deliveries again.",
}
