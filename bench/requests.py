"""The requests that are measured: what shoppers and the shop's backend ask of the data set."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, cycle, islice

import orjson

from bench.callers import headers_of_customers, service_headers
from bench.dataset.catalog import spacing_of_shelves
from bench.dataset.people import (
    CLIENT_SECRET,
    COMPANY_SPACING,
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
PAGE = 60
SHOPPERS = 100  # nothing is measured on one hot row only
LISTED_SEGMENTS = 20
CODES_EACH = 5
CART_LINES = 30

SHOP_SEGMENTS = f"/customer-segment/{TENANTS[SHOP]}/segments"
SHOP_ITEMS = f"{SHOP_SEGMENTS}/items"
SHOP_COUPONS = f"/coupon/{TENANTS[SHOP]}/coupons"
SHOP_CARTS = f"/coupon/{TENANTS[SHOP]}/cart-validations"
SHOP_CATEGORIES = f"/category/{TENANTS[SHOP]}"
FOREST_SEGMENTS = f"/customer-segment/{TENANTS[FOREST]}/segments"
Headers = tuple[tuple[str, str], ...]
JSON = (("Content-Type", "application/json"),)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)

turns = count(1)


def post(path: str, headers: Headers, body: object) -> Request:
    return Request("POST", path, (*headers, *JSON), orjson.dumps(body))


def segment_id(key: int) -> str:
    return f"s{key:06d}"


def product_id(key: int, scale: Scale) -> str:
    return f"p{1 + (key - 1) % scale.products:09d}"


def unread(asked: Sequence[Request], number: int) -> list[Request]:
    """Return so many requests for the same, in words that no process has a body for."""
    return [
        replace(request, path=f"{request.path}{'&' if '?' in request.path else '?'}_={next(turns)}")
        for request in islice(cycle(asked), number)
    ]


def last_pages(firsts: Iterable[Request]) -> list[Request]:
    """Go from page to page of each list until the next page would not be full."""
    found = []
    for first in firsts:
        page = first
        while cursor := perform(page).headers.get("X-Next-Cursor"):
            following = replace(first, path=f"{first.path}?next={cursor}")
            if len(orjson.loads(perform(following).body)) < PAGE:
                break
            page = following
        found.append(page)
    return found


def batches_of(count: int, batches: int) -> Iterator[tuple[int, range]]:
    """Yield so many times an empty segment and 200 of the keys up to `count`, no pair of both twice."""
    blocks = count // BATCH
    for batch in range(batches):
        first = 1 + batch % blocks * BATCH
        yield FIRST_EMPTY_SEGMENT + batch // blocks % EMPTY_SEGMENTS, range(first, first + BATCH)


@dataclass
class ShopRequests:
    """What is asked of the data set of this scale, by shoppers of different segments.

    Each keeps the token of its first request. No shopper acts for a company, so all five segments count.
    """

    scale: Scale
    number: int = SHOPPERS
    tokens: dict[int, Headers] = field(default_factory=dict)

    @property
    def shoppers(self) -> list[int]:
        keys = (key for key in range(1, self.scale.customers + 1) if key % COMPANY_SPACING)
        return list(islice(keys, self.number))

    def shopper(self, key: int) -> Headers:
        if key not in self.tokens:
            self.tokens |= headers_of_customers([key])
        return self.tokens[key]

    def backend(self) -> Headers:
        return service_headers(SHOP)

    def segments_of(self, shopper: int) -> list[int]:
        places = range(CUSTOMER_SEGMENTS)
        return [1 + (shopper * 7 + place * 31) % self.scale.effective_segments for place in places]

    def codes_of(self, shopper: int) -> list[str]:
        """One code of each of the segments: coupon n is for members of segment 1 + n mod effective."""
        effective = self.scale.effective_segments
        numbers = sorted(key - 1 or effective for key in self.segments_of(shopper))
        return [f"BENCH-{number:07d}" for number in numbers[:CODES_EACH]]

    def by_shoppers(self, path: str) -> list[Request]:
        return [Request("GET", path, self.shopper(key)) for key in self.shoppers]

    def by_backend(self, *paths: str) -> list[Request]:
        headers = self.backend()
        return [Request("GET", path, headers) for path in paths]

    def items(self) -> list[Request]:
        return self.by_shoppers(SHOP_ITEMS)

    def last_items(self) -> list[Request]:
        return last_pages(self.items())

    def unchanged_items(self) -> list[Request]:
        """Ask for items with the tag of what was read before."""
        return [
            replace(full, headers=(*full.headers, ("If-None-Match", perform(full).headers["ETag"])))
            for full in self.items()
        ]

    def tree(self) -> list[Request]:
        """The tree of the one customer of one segment, with its 20 categories."""
        headers = self.shopper(single_segment_customer(self.scale))
        return [Request("GET", f"{SHOP_ITEMS}/category-trees", headers)]

    def trees(self) -> list[Request]:
        return self.by_shoppers(f"{SHOP_ITEMS}/category-trees")

    def forest_tree(self) -> list[Request]:
        headers = self.shopper(forest_customer(self.scale))
        return [Request("GET", f"{FOREST_SEGMENTS}/items/category-trees", headers)]

    def products_for_segments_of(self, shopper: int) -> Request:
        """Products of all the tree that the shopper's segments hold."""
        ids = ",".join(segment_id(segment) for segment in self.segments_of(shopper))
        path = f"{SHOP_CATEGORIES}/categories/k000001/assignments?segmentsIds={ids}&withSubcategories=true"
        return Request("GET", path, self.shopper(shopper))

    def products_for_segments(self) -> list[Request]:
        return [self.products_for_segments_of(key) for key in self.shoppers]

    def shelf(self) -> list[Request]:
        """Products of categories that hold a hundred each; a category for each shopper."""
        return [
            Request("GET", f"{SHOP_CATEGORIES}/categories/k{shelf:06d}/assignments", self.shopper(key))
            for key, shelf in zip(self.shoppers, self.shelves, strict=True)
        ]

    @property
    def shelves(self) -> list[int]:
        """The key of a category with a hundred products for each shopper."""
        spacing = spacing_of_shelves(self.scale.categories, self.scale.shelves)
        return [spacing * (1 + place % self.scale.shelves) for place in range(len(self.shoppers))]

    def whole_tree(self) -> list[Request]:
        return self.by_backend(f"{SHOP_CATEGORIES}/category-trees")

    def compressed_tree(self) -> list[Request]:
        [plain] = self.whole_tree()
        return [replace(plain, headers=(*plain.headers, ("Accept-Encoding", "zstd")))]

    def members(self) -> list[Request]:
        keys = range(1, min(self.number, LISTED_SEGMENTS) + 1)
        return self.by_backend(*(f"{SHOP_SEGMENTS}/{segment_id(key)}/customers" for key in keys))

    def match(self) -> list[Request]:
        step = self.scale.products // SEGMENT_PRODUCTS
        # every other product is one of a segment's, see bench.dataset.segments
        keys = [1 + (1 + place % 20) * 37 + place * step + place % 2 for place in range(BATCH)]
        body = {
            "items": [{"id": product_id(key, self.scale)} for key in keys],
            "segmentIds": [segment_id(1 + place) for place in range(20)],
            "siteCode": "main",
        }
        return [post(f"{SHOP_SEGMENTS}/match", self.backend(), body)]

    def on_coupon(self, action: str, code: str, shopper: int) -> Request:
        body = {
            "orderTotal": {"amount": 100, "currency": "EUR"},
            "discount": {"amount": 10, "currency": "EUR"},
        }
        return post(f"{SHOP_COUPONS}/{code}/{action}", self.shopper(shopper), body)

    def on_coupons(self, action: str) -> list[Request]:
        return [self.on_coupon(action, code, key) for key in self.shoppers for code in self.codes_of(key)]

    def carts(self) -> list[Request]:
        items = [{"id": product_id(1 + key, self.scale), "amount": 10} for key in range(CART_LINES)]
        return [
            post(
                SHOP_CARTS,
                self.shopper(key),
                {"currency": "EUR", "items": items, "shipping": 5, "codes": self.codes_of(key)},
            )
            for key in self.shoppers
        ]

    def bulk(self, path: str, member: str, prefix: str, count: int, batches: int) -> list[Request]:
        """Write 200 rows a request into segments that are empty in the data set, no row twice."""
        headers = (*self.backend(), *JSON)
        return [
            Request(
                "PUT",
                f"{SHOP_SEGMENTS}/s{segment}/{path}",
                headers,
                orjson.dumps([{member: f"{prefix}{key:09d}"} for key in keys]),
            )
            for segment, keys in batches_of(count, batches)
        ]

    def customers(self, batches: int) -> Callable[[], list[Request]]:
        return lambda: self.bulk("customers/bulk", "customerId", "c", self.scale.customers, batches)

    def products(self, batches: int) -> Callable[[], list[Request]]:
        return lambda: self.bulk("items/product/bulk", "id", "p", self.scale.products, batches)

    def new_token(self) -> list[Request]:
        form = (
            f"grant_type=client_credentials&client_id={TENANTS[SHOP]}-backend&client_secret={CLIENT_SECRET}"
            "&scope=customersegment.segment_read"
        )
        return [Request("POST", "/oauth/token", FORM, form.encode())]
