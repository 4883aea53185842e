"""What a cart costs: 5 codes on 30 lines, and the best of 20 codes on 200 lines.

`python -m bench.carts`. Exit status 1 when a target is missed. Measured is the time on the processor of this
process and of its connection's backend, as in `bench.journal`. `python -m bench --only cart` compares the
validation with its bare statements.
"""

import os
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

import django

SCALE = "carts"
os.environ.update(DJANGO_SETTINGS_MODULE="bench.settings", BENCH_SCALE=SCALE)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from bench.dataset.building import create_database, drop_database  # noqa: E402 -- needs the settings
from bench.journal import TENANT, Api, make_shop, on_processor  # noqa: E402

MOST = 50.0  # ms, the median of RUNS requests
RUNS, WARM_UP = 40, 5
CODES, LINES, SHELVES, BATCH = 20, 200, 20, 100
PRICE = 10


def fill_shop(api: Api) -> None:
    """Make products on shelves, each on three, and coupons for neighbouring shelves: percentages, amounts."""
    shelves: list[list[dict[str, Any]]] = [[] for _ in range(SHELVES)]
    for number in range(LINES):
        for shelf in (number, number * 3, number * 7):
            entry = {"ref": {"id": f"P{number}", "type": "PRODUCT"}}
            if entry not in shelves[shelf % SHELVES]:
                shelves[shelf % SHELVES].append(entry)
    for begin in range(0, LINES, BATCH):
        products = [
            {"id": f"P{number}", "code": f"P{number}", "name": {"en": "P"}, "published": True}
            for number in range(begin, begin + BATCH)
        ]
        api.send("post", f"/product/{TENANT}/products/bulk", products)
    for number, entries in enumerate(shelves):
        category = {"localizedName": {"en": "Shelf"}, "published": True}
        api.send("put", f"/category/{TENANT}/categories/shelf-{number}", category)
        api.send("post", f"/category/{TENANT}/categories/shelf-{number}/assignments/bulk", entries)
    for number in range(CODES):
        api.send("post", f"/coupon/{TENANT}/coupons", coupon(number))
    api.send("put", f"/customer/{TENANT}/customers/C1", {"contactEmail": "c1@example.com"})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def coupon(number: int) -> dict[str, Any]:
    """Return a coupon; amounts are most of what their shelves cost, so that their order matters."""
    amount = {"amount": LINES * PRICE * (number % 5 + 1) / 12, "currency": "EUR"}
    kind: dict[str, Any] = {"discountType": "ABSOLUTE", "discountAbsolute": amount}
    if number % 4 == 0:
        kind = {"discountType": "PERCENT", "discountPercentage": 5 + number}
    shelves = [f"shelf-{(number + step) % SHELVES}" for step in range(number % 6 + 1)]
    return {
        "code": f"CART-{number}",
        "name": "Bench",
        "categoryRestricted": True,
        "restrictions": {"includedCategories": shelves},
        "listed": True,
        **kind,
    }


def milliseconds(api: Api, *, codes: int, lines: int, suggest: bool) -> Sequence[float]:
    """Return what each of RUNS requests takes."""
    body = {
        "customerNumber": "C1",
        "currency": "EUR",
        "items": [{"id": f"P{number}", "amount": PRICE, "quantity": 1} for number in range(lines)],
        "shipping": 5,
        "codes": [f"CART-{number}" for number in range(codes)],
        "suggest": suggest,
    }
    taken = []
    for _ in range(RUNS + WARM_UP):
        began = on_processor()
        api.send("post", f"/coupon/{TENANT}/cart-validations", body)
        taken.append(1e3 * (on_processor() - began))
    return taken[WARM_UP:]


def main() -> int:
    create_database()
    missed = False
    try:
        call_command("migrate", interactive=False, verbosity=0)
        api = Api(make_shop())
        fill_shop(api)
        for codes, lines, suggest in (
            (5, 30, False),
            (5, 30, True),
            (CODES, LINES, False),
            (CODES, LINES, True),
        ):
            taken = milliseconds(api, codes=codes, lines=lines, suggest=suggest)
            is_missed = suggest and median(taken) > MOST
            missed = missed or is_missed
            bound = f"   at most {MOST:.0f}{'  missed' if is_missed else ''}" if suggest else ""
            name = f"{'suggest' if suggest else 'validate'} {codes} codes, {lines} lines"
            sys.stdout.write(f"{name:<32}{median(taken):>8.1f} ms, {max(taken):.1f} the slowest{bound}\n")
            sys.stdout.flush()
    finally:
        drop_database()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
