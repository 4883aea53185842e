"""The operations that are measured, and the limit of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.load import Request
from bench.requests import BATCH, PAGE, SHOP_SEGMENTS, SHOPPERS, ShopRequests, last_pages, unread
from bench.scales import CUSTOMER_SEGMENTS, Scale

UPDATES = 20  # batches whose rows are there already


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
    writes_again: bool = False  # the rows are there already
    is_cold: bool = False  # each request asks for what was not answered before


def cases_of(scale: Scale, seconds: float, *, shoppers: int = SHOPPERS) -> list[Case]:
    """Return all rows of the table, asked by so many shoppers; `seconds` is how long a run lasts."""
    batches = int(seconds * 400)  # more than are written in a run, so that all rows are new
    reads = int(seconds * 4_000)  # more than are answered in a run
    shop = ShopRequests(scale, shoppers)

    def segments_of_shoppers() -> list[Request]:
        return shop.by_shoppers(SHOP_SEGMENTS)

    def first_read(name: str, asked: Callable[[], list[Request]]) -> Case:
        return Case(f"{name}, first read", lambda: unread(asked(), reads), target=0.65, is_cold=True)

    return [
        Case(
            "authentication and routing only",
            lambda: shop.by_backend(f"{SHOP_SEGMENTS}/s000001/nothing"),
            target=0.6,
            limit=Limit.EMPTY_VIEW,
        ),
        Case("segment items, a page", shop.items, target=0.65, entries=PAGE),
        Case("segment items, the last page", shop.last_items, target=0.65, entries=PAGE),
        Case(
            "segment items, nothing changed",
            shop.unchanged_items,
            target=3,
            limit=Limit.FULL_ANSWER,
            full=lambda: unread(shop.items(), reads),
            status=304,
        ),
        Case("tree of 20 categories", shop.tree, target=0.65),
        Case("tree of 20 categories of 50,000", shop.forest_tree, target=0.65),
        Case("products of a category for segments", shop.products_for_segments, target=0.65, entries=PAGE),
        first_read("segment items, a page", shop.items),
        first_read("tree of 20 categories", shop.tree),
        first_read("products of a category for segments", shop.products_for_segments),
        first_read("products of a category", shop.shelf),
        first_read("whole category tree", shop.whole_tree),
        first_read("segments of a customer", segments_of_shoppers),
        Case("whole category tree, compressed", shop.compressed_tree, target=0.65),
        Case("segments, a page", lambda: shop.by_backend(SHOP_SEGMENTS), target=0.65, entries=PAGE),
        Case("match 200 items in 20 segments", shop.match, target=0.65),
        Case("validate a coupon", lambda: shop.on_coupons("validation"), target=0.7),
        Case("validate a cart of 5 codes and 30 lines", shop.carts, target=0.7),
        Case(
            "redeem a coupon",
            lambda: shop.on_coupons("redemptions"),
            target=0.6,
            status=201,
            writes=True,
        ),
        Case("new service token", shop.new_token, target=0.5, limit=Limit.SIGNATURE),
        Case(
            "add 200 customers",
            shop.customers(batches),
            target=0.6,
            limit=Limit.BARE_INSERT,
            status=207,
            rows=BATCH,
            writes=True,
        ),
        Case(
            "update 200 customers",
            shop.customers(UPDATES),
            target=0.6,
            limit=Limit.BARE_INSERT,
            status=207,
            rows=BATCH,
            writes=True,
            writes_again=True,
        ),
        Case(
            "add 200 items",
            shop.products(batches),
            target=0.6,
            limit=Limit.BARE_INSERT,
            status=207,
            rows=BATCH,
            writes=True,
        ),
        Case(
            "update 200 items",
            shop.products(UPDATES),
            target=0.6,
            limit=Limit.BARE_INSERT,
            status=207,
            rows=BATCH,
            writes=True,
            writes_again=True,
        ),
        Case("products of a category", shop.shelf, target=0.65, entries=PAGE),
        Case("whole category tree", shop.whole_tree, target=0.65),
        Case(
            "segments of a customer",
            segments_of_shoppers,
            target=0.65,
            entries=CUSTOMER_SEGMENTS,
        ),
        Case("customers of a segment, a page", shop.members, target=0.65, entries=PAGE),
        Case(
            "customers of a segment, the last page",
            lambda: last_pages(shop.members()),
            target=0.65,
            entries=PAGE,
        ),
    ]
