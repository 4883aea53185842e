from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import F, Max
from django.test.utils import CaptureQueriesContext

from accounts.identity.models import ApiClient
from accounts.identity.scopes import SERVICE_SCOPES
from accounts.identity.tokens.opaque import digest_of
from accounts.models import ContactAssignment, Customer, LegalEntity, Site, User
from catalog.models import Category, CategoryAssignment, Product
from catalog.tree_checks import tree_problems
from coupons.models import Coupon, CouponSegment
from segments.customer_context import Shopper
from segments.models import CustomerAssignment, ItemAssignment, Segment
from segments.visibility import resolve
from tests.config.demo.conftest import AT

SHIFT = timedelta(days=3026)  # from 20 November 2017 to 4 March 2026


def of(shop, model):
    return model.objects.filter(tenant=shop.tenant).order_by()


def test_every_product_of_the_source_is_a_product(shop, oracle):
    stored = dict(of(shop, Product).values_list("external_id", "mixins__completeJourney"))
    assert stored == {
        number: {
            "brand": row["brand"],
            "manufacturerId": str(row["manufacturer_id"]),
            **({"packageSize": row["package_size"]} if row["package_size"] is not None else {}),
        }
        for number, row in oracle.products.items()
    }
    assert of(shop, Product).filter(is_published=True, code=F("external_id")).count() == 92_331


def test_a_product_is_named_by_its_type_and_package_size_or_what_is_known(shop):
    names = dict(
        of(shop, Product)
        .filter(external_id__in=["25671", "26081", "26093"])
        .values_list("external_id", "name")
    )
    assert names == {
        "25671": {"en": "Ice - Crushed/Cubed, 22 LB"},
        "26081": {"en": "Miscellaneous"},
        "26093": {"en": "Bread:Italian/French"},
    }


def test_the_forest_has_one_category_for_each_path_of_the_source(shop, oracle):
    levels = {depth: {path for path in oracle.category_paths if len(path) == depth} for depth in (1, 2, 3)}
    assert {depth: len(paths) for depth, paths in levels.items()} == {1: 32, 2: 343, 3: 3_828}
    assert {depth: of(shop, Category).filter(level=depth).count() for depth in (1, 2, 3)} == {
        depth: len(paths) for depth, paths in levels.items()
    }
    assert tree_problems(shop.tenant.pk) == []


def test_every_product_hangs_on_its_deepest_known_category(shop, oracle):
    assert of(shop, CategoryAssignment).count() == len(oracle.products)
    ids_by_path = {}
    for number, category in of(shop, CategoryAssignment).values_list(
        "product__external_id", "category__external_id"
    ):
        ids_by_path.setdefault(oracle.places[number], set()).add(category)
    # each path has one category, no two paths have the same, and the path shows in the category's depth
    assert all(len(ids) == 1 for ids in ids_by_path.values())
    assert len({next(iter(ids)) for ids in ids_by_path.values()}) == len(ids_by_path)
    assert all(next(iter(ids)).count(".") == len(path) - 1 for path, ids in ids_by_path.items())


def test_categories_are_named_in_both_languages(shop):
    names = dict(
        of(shop, Category)
        .filter(external_id__in=["grocery", "grocery.coffee", "seafood-pckgd"])
        .values_list("external_id", "name")
    )
    assert names == {
        "grocery": {"en": "Grocery", "de": "Lebensmittel"},
        "grocery.coffee": {"en": "Coffee", "de": "Kaffee"},
        "seafood-pckgd": {"en": "Packaged Seafood", "de": "Fisch & Meeresfrüchte, verpackt"},
    }
    assert not of(shop, Category).exclude(name__has_keys=["en", "de"]).exists()


def test_every_household_is_a_customer_with_what_is_known_of_it(shop, oracle):
    stored = dict(of(shop, Customer).values_list("external_id", "mixins"))
    assert stored.keys() == oracle.households
    assert len(stored) == 2_469
    known = {number for number, mixins in stored.items() if mixins}
    assert known == oracle.demographics.keys()
    assert stored["1"] == {
        "demographics": {
            "age": "65+",
            "income": "35-49K",
            "homeOwnership": "Homeowner",
            "maritalStatus": "Married",
            "householdSize": "2",
            "householdComposition": "2 Adults No Kids",
            "kidsCount": "0",
        }
    }
    assert "homeOwnership" not in stored["1003"]["demographics"]


def test_all_customers_log_in_with_the_password_demo(shop):
    passwords = list(of(shop, Customer).values_list("password", flat=True).distinct())
    assert len(passwords) == 1
    customer = Customer.objects.get(tenant=shop.tenant, email="household-1@example.com")
    assert customer.accepts_password("demo")
    assert not customer.accepts_password("Demo")


def test_campaigns_are_segments_from_their_first_to_the_end_of_their_last_day(shop, oracle):
    stored = {
        external_id: (valid_from, valid_to)
        for external_id, valid_from, valid_to in of(shop, Segment)
        .filter(status="ACTIVE", site__code="main", external_id__startswith="campaign-")
        .values_list("external_id", "valid_from", "valid_to")
    }
    assert stored == {
        f"campaign-{campaign}": (
            datetime(first.year, first.month, first.day, tzinfo=UTC) + SHIFT,
            datetime(last.year, last.month, last.day, 23, 59, 59, 999_000, tzinfo=UTC) + SHIFT,
        )
        for campaign, (first, last) in oracle.windows.items()
    }
    assert len(stored) == 27


def test_on_the_day_of_the_load_the_campaigns_of_20_november_2017_are_effective(shop):
    effective = set(
        Segment.objects.filter(tenant=shop.tenant).effective_at(AT).values_list("external_id", flat=True)
    )
    campaigns = {segment for segment in effective if segment.startswith("campaign-")}
    assert campaigns == {"campaign-15", "campaign-18", "campaign-19"}
    name = Segment.objects.get(tenant=shop.tenant, external_id="campaign-18").name
    assert name == {"en": "Campaign 18 (Type A)", "de": "Kampagne 18 (Typ A)"}


def test_households_belong_to_their_campaigns(shop, oracle):
    stored = {
        (int(segment.removeprefix("campaign-")), customer)
        for segment, customer in of(shop, CustomerAssignment)
        .filter(legal_entity=None, valid_from=None, valid_to=None)
        .values_list("segment__external_id", "customer__external_id")
    }
    assert stored == oracle.memberships
    assert len(stored) == 6_589


def test_the_products_of_a_campaigns_coupons_are_its_items(shop, oracle):
    stored = {
        (int(segment.removeprefix("campaign-")), product)
        for segment, product in of(shop, ItemAssignment)
        .filter(category=None)
        .values_list("segment__external_id", "product__external_id")
    }
    assert stored == oracle.items
    assert len(stored) == 103_995


def test_products_that_the_catalogue_lacks_are_reported_with_file_and_row(shop, oracle):
    assert [(row.file, row.row, row.reason, row.message) for row in shop.load.refused] == [
        ("coupons.parquet", row, "unknown_product", f"There is no product {product}.")
        for row, product in oracle.missing
    ]
    assert len(shop.load.refused) == 16


def test_every_row_of_the_source_is_accounted_for(shop, oracle):
    tally = shop.load.tallies["segment products"]
    assert (tally.rows, tally.created, tally.repeated, tally.refused) == (116_204, 103_995, 12_193, 16)
    for label, tally in shop.load.tallies.items():
        written = tally.changed if label == "visits" else tally.created
        assert written + tally.repeated + tally.refused == tally.rows, label


def test_sixteen_departments_are_assigned_to_segments_half_of_them_with_all_below(shop):
    assigned = list(
        of(shop, ItemAssignment)
        .filter(product=None)
        .values_list("category__external_id", "segment__external_id", "includes_subcategories")
    )
    departments = {department: includes for department, _, includes in assigned}
    assert len(assigned) == 48
    assert len(departments) == 16
    assert sum(departments.values()) == 8
    assert departments["grocery"] is True
    assert {segment for department, segment, _ in assigned if department == "grocery"} == {
        "campaign-9",
        "campaign-18",
        "campaign-27",
    }


def test_each_coupon_code_in_each_campaign_is_a_coupon_for_its_members(shop, oracle):
    stored = {
        (coupon.mixins["completeJourney"]["campaignId"], int(coupon.mixins["completeJourney"]["couponUpc"]))
        for coupon in of(shop, Coupon).exclude(code="FREESHIP")  # the shop's own, for everybody
    }
    assert stored == oracle.coupons
    assert len(stored) == 1_197
    assert len({upc for _, upc in stored}) == 981
    restrictions = of(shop, CouponSegment).values_list("coupon__code", "segment__external_id")
    assert dict(restrictions) == {
        f"C{campaign:02}-{upc}": f"campaign-{campaign}" for campaign, upc in oracle.coupons
    }
    windows = of(shop, Coupon).filter(
        valid_from=F("segment_restrictions__segment__valid_from"),
        valid_to=F("segment_restrictions__segment__valid_to"),
        is_segment_restricted=True,
        max_redemptions_per_customer=2,
    )
    assert windows.count() == 1_197


def test_a_coupon_grants_a_percentage_or_an_amount(shop):
    percent = Coupon.objects.get(tenant=shop.tenant, code="C08-10000085364")
    assert (percent.discount_type, percent.discount_percentage) == ("PERCENT", Decimal(15))
    assert percent.name == "15% off in campaign 8"
    assert percent.mixins["completeJourney"]["name"]["de"] == "15 % Rabatt in Kampagne 8"
    amount = Coupon.objects.get(tenant=shop.tenant, code="C18-10000085479")
    assert (amount.discount_type, amount.discount_amount, amount.discount_currency) == (
        "ABSOLUTE",
        Decimal("2.00"),
        "USD",
    )
    assert amount.name == "$2.00 off in campaign 18"


def test_contacts_see_another_range_at_work_than_at_home(shop):
    assert of(shop, LegalEntity).count() == 5
    assert of(shop, ContactAssignment).count() == 45
    companies = {}
    for customer, company in of(shop, ContactAssignment).values_list(
        "customer__external_id", "legal_entity__external_id"
    ):
        companies.setdefault(customer, set()).add(company)
    assert sorted(map(len, companies.values())) == [1] * 35 + [2] * 5
    for assignment in of(shop, ContactAssignment).select_related("customer", "legal_entity"):
        at_home = segments_seen(shop, assignment.customer, None)
        at_work = segments_seen(shop, assignment.customer, assignment.legal_entity)
        assert "campaign-18" in at_home
        assert at_work > at_home or len(companies[assignment.customer.external_id]) == 1


def segments_seen(shop, customer, legal_entity):
    named = legal_entity.external_id if legal_entity else ""
    keys = resolve(Shopper(shop.tenant.pk, customer.pk, named_legal_entity=named), at=shop.at).segment_ids
    return set(Segment.objects.filter(pk__in=keys).values_list("external_id", flat=True))


def test_the_shop_can_be_called_and_administered_at_once(shop):
    backend = ApiClient.objects.get(client_id="demo-backend")
    assert backend.scopes == list(SERVICE_SCOPES)
    assert not backend.may_start_sessions
    assert backend.secrets.get().digest == digest_of("demo-backend-secret")
    assert ApiClient.objects.get(client_id="demo-storefront").may_start_sessions
    assert list(
        Site.objects.filter(tenant=shop.tenant).values_list("code", "is_default", "currency", "languages")
    ) == [("main", True, "USD", ["en", "de"])]
    admin = User.objects.get(username="admin")
    assert (admin.is_superuser, admin.tenant, admin.check_password("admin")) == (True, None, True)


def test_merchandisers_curate_segments_and_coupons_and_see_the_catalogue(shop):
    user = User.objects.get(username="merchandiser")
    assert (user.is_staff, user.is_superuser, user.tenant) == (True, False, shop.tenant)
    assert user.check_password("merchandiser")
    for model in ("segments.{}_segment", "segments.{}_customerassignment", "segments.{}_itemassignment"):
        assert user.has_perms([model.format(action) for action in ("view", "add", "change", "delete")])
    assert user.has_perms(["coupons.add_coupon", "coupons.view_redemption", "catalog.view_category"])
    assert not user.has_perm("catalog.change_product")
    assert not user.has_perm("accounts.view_user")
    assert not user.has_perm("accounts.change_customer")


def test_a_second_load_changes_nothing_and_reads_nothing_before_it_has_the_lock(shop):
    models = (Customer, Product, Category, Segment, CustomerAssignment, ItemAssignment, Coupon)
    versions = {model: of(shop, model).aggregate(Max("version"), Max("modified_at")) for model in models}
    with CaptureQueriesContext(connection) as queries:
        again = shop.load_again(at=AT + timedelta(hours=3))
    assert not again.has_changed
    for label, tally in again.tallies.items():
        assert tally.unchanged + tally.repeated + tally.refused == tally.rows, label
    assert again.refused == shop.load.refused
    assert versions == {
        model: of(shop, model).aggregate(Max("version"), Max("modified_at")) for model in models
    }
    assert versions[Coupon] == {"version__max": 0, "modified_at__max": AT}
    assert versions[Segment] == {"version__max": 1, "modified_at__max": AT}
    statements = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert "pg_advisory_xact_lock(4, 0)" in statements[0]


def test_a_load_on_the_next_day_moves_the_windows_puts_back_what_was_removed_and_keeps_what_was_added(shop):
    before = dict(of(shop, Segment).exclude(valid_to=None).values_list("external_id", "valid_to"))
    of(shop, CustomerAssignment).filter(segment__external_id="campaign-15", legal_entity=None).delete()
    added = Customer.objects.create(tenant=shop.tenant, external_id="somebody")
    again = shop.load_again(at=AT + timedelta(days=1))
    changed = {label: tally.changed for label, tally in again.tallies.items() if tally.changed}
    assert changed == {"segments": 27, "coupons": 1_197, "visits": 2_469, "redemptions": 2_102}
    created = {label: tally.created for label, tally in again.tallies.items() if tally.created}
    assert created == {"B2C memberships": 17}
    after = dict(of(shop, Segment).exclude(valid_to=None).values_list("external_id", "valid_to"))
    assert after == {segment: end + timedelta(days=1) for segment, end in before.items()}
    assert Customer.objects.filter(pk=added.pk).exists()
