"""What the journal's triggers cost: each write alternates with and without them, and is rolled back.

    DEBUG=1 python -m bench.journal [rounds]

Needs an empty, migrated database, where it leaves the tenant `journalbench` behind. The statements are those
that operations send, without HTTP and Python around them: so the ratios are upper bounds of what callers see.
"""

import os
import sys
import time
from statistics import median

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402 -- needs the settings

TABLES = (
    "segments_customerassignment",
    "accounts_customer",
    "coupons_coupon",
    "coupons_redemption",
    "catalog_category",
)
SETUP = """
INSERT INTO tenancy_tenant (name, title, default_language, languages, currency, is_active)
VALUES ('journalbench', '', 'en', '{en}', 'EUR', true);
INSERT INTO accounts_site (tenant_id, code, name, version, created_at, modified_at, mixins, mixin_schemas,
    is_active, is_default, default_language, languages, currency, available_currencies, ship_to_countries,
    home_base, tax_determination_based_on, settings)
SELECT id, 'main', 'Main', 1, now(), now(), '{}', '{}', true, true, 'en', '{en}', 'EUR', '{}', '{}', '{}',
    'BILLING_ADDRESS', '{}' FROM tenancy_tenant WHERE name = 'journalbench';
INSERT INTO segments_segment (tenant_id, external_id, site_id, name, description, status, version,
    created_at, modified_at, mixin_schemas)
SELECT tenant_id, segment.name, id, '{}', '{}', 'ACTIVE', 1, now(), now(), '{}'
FROM accounts_site CROSS JOIN (VALUES ('empty'), ('full')) AS segment (name) WHERE tenant_id = TENANT;
INSERT INTO accounts_customer (tenant_id, external_id, version, created_at, modified_at, mixins,
    mixin_schemas, password, title, first_name, middle_name, last_name, contact_phone, company,
    company_registration_id,
    preferred_language, preferred_currency, preferred_site, type, photo_url, is_active, is_on_hold)
SELECT TENANT, 'C' || number, 1, now(), now(), '{}', '{}', '', '', 'Ann', '', 'B', '', '', '', '', '', '',
    'CUSTOMER', '', true, false FROM generate_series(1, 20000) AS number;
INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, version, created_at,
    modified_at, mixin_schemas, assignment_type)
SELECT tenant_id, (SELECT id FROM segments_segment WHERE tenant_id = TENANT AND external_id = 'full'), id,
    1, now(), now(), '{}', 'MANUAL' FROM accounts_customer WHERE tenant_id = TENANT;
INSERT INTO coupons_coupon (tenant_id, code, name, description, discount_type, discount_percentage,
    discount_calculation_type, allows_anonymous, is_category_restricted, is_segment_restricted, valid_for,
    issued_to, is_referral, is_deleted, redemption_count, version, created_at, modified_at, mixins,
    mixin_schemas)
SELECT TENANT, 'SALE', 'Sale', '', 'PERCENT', 5, 'SUBTOTAL', false, false, false, '{}', '', false, false, 0,
    0, now(), now(), '{}', '{}';
ANALYZE accounts_customer; ANALYZE segments_customerassignment;
"""
INSERT_MEMBERS = """
INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, version, created_at,
    modified_at, mixin_schemas, assignment_type)
SELECT tenant_id, (SELECT id FROM segments_segment WHERE tenant_id = TENANT AND external_id = 'empty'), id,
    1, now(), now(), '{}', 'MANUAL' FROM accounts_customer WHERE tenant_id = TENANT
ORDER BY accounts_customer.id LIMIT COUNT
"""
UPDATE_MEMBERS = """
UPDATE segments_customerassignment SET version = version + 1, modified_at = now() WHERE tenant_id = TENANT
AND customer_id IN (SELECT id FROM accounts_customer WHERE tenant_id = TENANT ORDER BY id LIMIT 200)
"""
PATCH_CUSTOMER = """
UPDATE accounts_customer SET version = version + 1, modified_at = now(), first_name = 'Eve'
WHERE tenant_id = TENANT AND external_id = 'C77'
"""
REDEEM = """
WITH counted AS (
    UPDATE coupons_coupon SET redemption_count = redemption_count + 1 WHERE tenant_id = TENANT RETURNING id
) INSERT INTO coupons_redemption (tenant_id, external_id, coupon_id, customer_number, legal_entity_id,
    order_code, idempotency_key, order_total_amount, order_total_currency, discount_amount, discount_currency,
    redeemed_at)
SELECT TENANT, 'R1', id, 'C77', '', '', '', 90, 'EUR', 1, 'EUR', now() FROM counted
"""
CASES = {
    "create 200 members": INSERT_MEMBERS.replace("COUNT", "200"),
    "create 20,000 members": INSERT_MEMBERS.replace("COUNT", "20000"),
    "update 200 members": UPDATE_MEMBERS,
    "redeem a coupon": REDEEM,
    "patch a customer": PATCH_CUSTOMER,
}


def seconds(statement: str, *, with_triggers: bool) -> float:
    """Return how long a statement takes, in a transaction that is rolled back."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not with_triggers:
            for table in TABLES:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        began = time.perf_counter()
        cursor.execute(statement)
        taken = time.perf_counter() - began
        transaction.set_rollback(True)
    return taken


def main(rounds: int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        first, rest = SETUP.split(";", 1)
        cursor.execute(first)
        cursor.execute("SELECT id::text FROM tenancy_tenant WHERE name = 'journalbench'")
        [(tenant,)] = cursor.fetchall()
        cursor.execute(rest.replace("TENANT", tenant))
    for name, statement in CASES.items():
        text = statement.replace("TENANT", tenant)
        taken: dict[bool, list[float]] = {True: [], False: []}
        for number in range(rounds):
            for with_triggers in (number % 2 == 0, number % 2 == 1):
                taken[with_triggers].append(seconds(text, with_triggers=with_triggers))
        sys.stdout.write(
            f"{name}: {1e3 * median(taken[True]):.2f} ms with, {1e3 * median(taken[False]):.2f} ms without,"
            f" ratio of medians {median(taken[True]) / median(taken[False]):.2f},"
            f" of minima {min(taken[True]) / min(taken[False]):.2f}\n"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
