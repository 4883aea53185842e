"""How large the data sets are."""

from dataclasses import asdict, dataclass

GENERATOR = 2  # grows when the generated rows change, so that older data sets are made anew

CUSTOMER_SEGMENTS = 5
SEGMENT_PRODUCTS = 200
SEGMENT_CATEGORIES = 20
FOREST_CATEGORIES = 50_000


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of a data set.

    Half of the segments are effective, the other half have closed. A customer belongs to five of each, so
    that there are ten memberships a customer, of which five count. A second tenant holds nothing but a
    tree of 50,000 categories, whatever the scale.
    """

    name: str
    categories: int
    products: int
    customers: int
    segments: int
    coupons: int

    @property
    def effective_segments(self) -> int:
        return self.segments // 2

    @property
    def shelves(self) -> int:
        """How many categories hold a hundred products each; all others hold five at most."""
        return self.products // 100

    @property
    def memberships(self) -> int:
        return self.customers * CUSTOMER_SEGMENTS * 2

    @property
    def parameters(self) -> dict[str, object]:
        """What a stored data set must agree with to be used again."""
        return {**asdict(self), "generator": GENERATOR}


SCALES = {
    scale.name: scale
    for scale in (
        Scale("small", categories=2_000, products=10_000, customers=10_000, segments=200, coupons=1_000),
        Scale(
            "medium",
            categories=10_000,
            products=100_000,
            customers=100_000,
            segments=1_000,
            coupons=10_000,
        ),
        Scale(
            "large",
            categories=50_000,
            products=1_000_000,
            customers=1_000_000,
            segments=4_000,
            coupons=100_000,
        ),
    )
}
