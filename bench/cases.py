"""The operations that are measured, and the limit of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count

import orjson

from bench.callers import customer_headers, service_headers
from bench.dataset.catalog import spacing_of_shelves
from bench.dataset.people import (
    CLIENT_SECRET,
    FOREST,
    SHOP,
    TENANTS,
    forest_customer,
    single_segment_customer,
)
from bench.dataset.segments import EMPTY_SEGMENTS, FIRST_EMPTY_SEGMENT
from bench.load import Request
from bench.replays import perform
from bench.scales import CUSTOMER_SEGMENTS, SEGMENT_PRODUCTS, Scale

BATCH = 200
SHOPPER = 1  # key of a customer of the shop
PAGE = 60
COUPONS_IN_TURN = 50

SHOP_SEGMENTS = f"/customer-segment/{TENANTS[SHOP]}/segments"
SHOP_COUPONS = f"/coupon/{TENANTS[SHOP]}/coupons"
SHOP_CATEGORIES = f"/category/{TENANTS[SHOP]}"
FOREST_SEGMENTS = f"/customer-segment/{TENANTS[FOREST]}/segments"
Headers = tuple[tuple[str, str], ...]
JSON = (("Content-Type", "application/json"),)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)


class Limit(Enum):
    """What an operation is compared with, in the same run."""

    SAME_SQL = "a bare view that sends the same SQL and returns the same bytes"
    EMPTY_VIEW = "an empty bare view"
    SIGNATURE = "a bare view that signs one token"
    BARE_INSERT = "the same rows by the bare INSERT from psycopg"
    FULL_ANSWER = "the full answer of the same operation, read for the first time"


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table: requests that are sent in turn, and what their speed is compared with.

    `rows` is how many rows a request writes: the speed of a case with more than one is in rows a second.
    `alternative` is the better of what Medusa and Vendure reached, `aim` how many times of that we want.
    """

    name: str
    requests: Callable[[], Sequence[Request]]
    target: float
    limit: Limit = Limit.SAME_SQL
    status: int = 200
    rows: int = 1
    entries: int | None = None  # how many entries the answer lists
    writes: bool = False
    full: Callable[[], Sequence[Request]] | None = None  # for Limit.FULL_ANSWER
    alternative: float | None = None
    aim: float = 10
    writes_again: bool = False  # the rows are there already
    is_cold: bool = False  # each request asks for what was not answered before


turns = count(1)


def never_read(path: str, headers: Callable[[], Headers], number: int) -> Callable[[], list[Request]]:
    """Return what asks for the same again and again in words that no process has a body for."""

    def requests() -> list[Request]:
        sent = headers()
        joined = "&" if "?" in path else "?"
        return [Request("GET", f"{path}{joined}_={next(turns)}", sent) for _ in range(number)]

    return requests


def get(path: str, headers: Headers) -> list[Request]:
    return [Request("GET", path, headers)]


def post(path: str, headers: Headers, body: object) -> Request:
    return Request("POST", path, (*headers, *JSON), orjson.dumps(body))


def segment_id(key: int) -> str:
    return f"s{key:06d}"


def cases_of(scale: Scale, seconds: float) -> list[Case]:
    """Return all rows of the table for this data set; `seconds` is how long a run lasts."""
    batches = int(seconds * 400)  # more than are written in a run, so that all rows are new
    items_path = f"{SHOP_SEGMENTS}/items"
    shelf = spacing_of_shelves(scale.categories, scale.shelves)
    segments_of_shopper = [
        segment_id(1 + (SHOPPER * 7 + place * 31) % scale.effective_segments)
        for place in range(CUSTOMER_SEGMENTS)
    ]

    products_path = (
        f"{SHOP_CATEGORIES}/categories/k000001/assignments"
        f"?segmentsIds={','.join(segments_of_shopper)}&withSubcategories=true"
    )
    reads = int(seconds * 4_000)  # more than are answered in a run

    def shopper() -> Headers:
        return customer_headers(SHOPPER)

    def in_single_segment() -> Headers:
        return customer_headers(single_segment_customer(scale))

    def backend() -> Headers:
        return service_headers(SHOP)

    def match() -> list[Request]:
        step = scale.products // SEGMENT_PRODUCTS
        # every other product is one of a segment's, see bench.dataset.segments
        keys = [1 + (1 + place % 20) * 37 + place * step + place % 2 for place in range(BATCH)]
        body = {
            "items": [{"id": f"p{1 + (key - 1) % scale.products:09d}"} for key in keys],
            "segmentIds": [segment_id(1 + place) for place in range(20)],
            "siteCode": "main",
        }
        return [post(f"{SHOP_SEGMENTS}/match", backend(), body)]

    def last_page(
        path: str, headers: Callable[[], tuple[tuple[str, str], ...]]
    ) -> Callable[[], list[Request]]:
        def requests() -> list[Request]:
            """Go from page to page until the next one would not be full."""
            [page] = found = get(path, headers())
            while cursor := perform(page).headers.get("X-Next-Cursor"):
                [page] = get(f"{path}?next={cursor}", page.headers)
                if len(orjson.loads(perform(page).body)) < PAGE:
                    break
                found = [page]
            return found

        return requests

    def conditional() -> list[Request]:
        [full] = get(items_path, shopper())
        tag = perform(full).headers["ETag"]
        return [Request("GET", items_path, (*full.headers, ("If-None-Match", tag)))]

    def on_coupons(action: str) -> Callable[[], list[Request]]:
        body = {
            "orderTotal": {"amount": 100, "currency": "EUR"},
            "discount": {"amount": 10, "currency": "EUR"},
        }

        def requests() -> list[Request]:
            # coupon n is for the members of segment 1 + n mod effective
            own = {int(name[1:]) for name in segments_of_shopper}
            headers = shopper()
            found = [n for n in range(1, scale.coupons + 1) if 1 + n % scale.effective_segments in own]
            return [
                post(f"{SHOP_COUPONS}/BENCH-{n:07d}/{action}", headers, body) for n in found[:COUPONS_IN_TURN]
            ]

        return requests

    def carts() -> list[Request]:
        headers = shopper()
        own = {int(name[1:]) for name in segments_of_shopper}
        found = [n for n in range(1, scale.coupons + 1) if 1 + n % scale.effective_segments in own]
        items = [{"id": f"p{1 + key % scale.products:09d}", "amount": 10} for key in range(30)]
        codes = [f"BENCH-{n:07d}" for n in found[:COUPONS_IN_TURN]]
        return [
            post(
                f"/coupon/{TENANTS[SHOP]}/cart-validations",
                headers,
                {"currency": "EUR", "items": items, "shipping": 5, "codes": codes[first : first + 5]},
            )
            for first in range(0, len(codes), 5)
        ]

    def bulk(path: str, member: str, prefix: str, count: int, batches: int) -> Callable[[], list[Request]]:
        def requests() -> list[Request]:
            headers = (*backend(), *JSON)
            blocks = count // BATCH
            return [
                Request(
                    "PUT",
                    f"{SHOP_SEGMENTS}/s{FIRST_EMPTY_SEGMENT + batch // blocks % EMPTY_SEGMENTS}/{path}",
                    headers,
                    orjson.dumps(
                        [{member: f"{prefix}{1 + batch % blocks * BATCH + n:09d}"} for n in range(BATCH)]
                    ),
                )
                for batch in range(batches)
            ]

        return requests

    def new_token() -> list[Request]:
        form = (
            f"grant_type=client_credentials&client_id={TENANTS[SHOP]}-backend&client_secret={CLIENT_SECRET}"
            "&scope=customersegment.segment_read"
        )
        return [Request("POST", "/oauth/token", FORM, form.encode())]

    return [
        Case(
            "authentication and routing only",
            lambda: get(f"{SHOP_SEGMENTS}/s000001/nothing", backend()),
            target=0.6,
            limit=Limit.EMPTY_VIEW,
        ),
        Case(
            "segment items, a page",
            lambda: get(items_path, shopper()),
            target=0.65,
            entries=PAGE,
        ),
        Case("segment items, the last page", last_page(items_path, shopper), target=0.65, entries=PAGE),
        Case(
            "segment items, nothing changed",
            conditional,
            target=3,
            limit=Limit.FULL_ANSWER,
            full=never_read(items_path, shopper, reads),
            status=304,
        ),
        Case(
            "tree of 20 categories",
            lambda: get(
                f"{SHOP_SEGMENTS}/items/category-trees", customer_headers(single_segment_customer(scale))
            ),
            target=0.65,
        ),
        Case(
            "tree of 20 categories of 50,000",
            lambda: get(f"{FOREST_SEGMENTS}/items/category-trees", customer_headers(forest_customer(scale))),
            target=0.65,
        ),
        Case(
            "products of a category for segments",
            lambda: get(products_path, shopper()),
            target=0.65,
            entries=PAGE,
        ),
        *[
            Case(f"{name}, first read", never_read(path, headers, reads), target=0.65, is_cold=True)
            for name, path, headers in (
                ("segment items, a page", items_path, shopper),
                ("tree of 20 categories", f"{items_path}/category-trees", in_single_segment),
                ("products of a category for segments", products_path, shopper),
                ("products of a category", f"{SHOP_CATEGORIES}/categories/k{shelf:06d}/assignments", shopper),
                ("whole category tree", f"{SHOP_CATEGORIES}/category-trees", backend),
                ("segments of a customer", SHOP_SEGMENTS, shopper),
            )
        ],
        Case(
            "whole category tree, compressed",
            lambda: get(f"{SHOP_CATEGORIES}/category-trees", (*backend(), ("Accept-Encoding", "zstd"))),
            target=0.65,
        ),
        Case("segments, a page", lambda: get(SHOP_SEGMENTS, backend()), target=0.65, entries=PAGE),
        Case("match 200 items in 20 segments", match, target=0.65),
        Case("validate a coupon", on_coupons("validation"), target=0.7, alternative=58),
        Case("validate a cart of 5 codes and 30 lines", carts, target=0.7),
        Case(
            "redeem a coupon", on_coupons("redemptions"), target=0.6, status=201, writes=True, alternative=58
        ),
        Case("new service token", new_token, target=0.5, limit=Limit.SIGNATURE),
        Case(
            "add 200 customers",
            bulk("customers/bulk", "customerId", "c", scale.customers, batches),
            target=0.6,
            limit=Limit.BARE_INSERT,
            status=207,
            rows=BATCH,
            writes=True,
            alternative=5_762,
            aim=5,
        ),
        Case(
            "update 200 customers",
            bulk("customers/bulk", "customerId", "c", scale.customers, 20),
            target=0.6,
            limit=Limit.BARE_INSERT,
            status=207,
            rows=BATCH,
            writes=True,
            writes_again=True,
        ),
        Case(
            "add 200 items",
            bulk("items/product/bulk", "id", "p", scale.products, batches),
            target=0.6,
            limit=Limit.BARE_INSERT,
            status=207,
            rows=BATCH,
            writes=True,
        ),
        Case(
            "update 200 items",
            bulk("items/product/bulk", "id", "p", scale.products, 20),
            target=0.6,
            limit=Limit.BARE_INSERT,
            status=207,
            rows=BATCH,
            writes=True,
            writes_again=True,
        ),
        Case(
            "products of a category",
            lambda: get(f"{SHOP_CATEGORIES}/categories/k{shelf:06d}/assignments", shopper()),
            target=0.65,
            entries=PAGE,
            alternative=97,
        ),
        Case(
            "whole category tree",
            lambda: get(f"{SHOP_CATEGORIES}/category-trees", backend()),
            target=0.65,
            alternative=4.1,
        ),
        Case(
            "segments of a customer",
            lambda: get(SHOP_SEGMENTS, shopper()),
            target=0.65,
            entries=CUSTOMER_SEGMENTS,
            alternative=665,
        ),
        Case(
            "customers of a segment, a page",
            lambda: get(f"{SHOP_SEGMENTS}/s000001/customers", backend()),
            target=0.65,
            entries=PAGE,
            alternative=248,
        ),
        Case(
            "customers of a segment, the last page",
            last_page(f"{SHOP_SEGMENTS}/s000001/customers", backend),
            target=0.65,
            entries=PAGE,
        ),
    ]
