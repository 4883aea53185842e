"""The requests of the mixture, in an order that is the same in every run."""

from itertools import islice
from random import Random

from bench.callers import headers_of_customers
from bench.dataset.people import COMPANY_SPACING
from bench.load import Request
from bench.replays import perform
from bench.requests import SHOP_ITEMS, ShopRequests
from bench.scales import Scale

CUSTOMERS, SETS = 10_000, 200
REQUESTS = 40_000
WEIGHTS = {"items": 30, "products": 30, "tree": 20, "unchanged": 15, "coupon": 5}
STATUSES = {"unchanged": 304}  # of others 200


class Mixture:
    """The mixture of this scale. Customers whose keys differ by the number of segments have the same ones."""

    def __init__(self, scale: Scale) -> None:
        self.effective = scale.effective_segments
        keys = (
            key
            for key in range(1, scale.customers + 1)
            if key % COMPANY_SPACING and key % self.effective < SETS
        )
        self.customers = list(islice(keys, CUSTOMERS))
        self.shop = ShopRequests(scale, tokens=headers_of_customers(self.customers))

    @property
    def sets(self) -> int:
        return len({customer % self.effective for customer in self.customers})

    def requests(self) -> list[Request]:
        """Return the requests in their order, with the tags of now."""
        chance = Random(21)
        one_of_each_set = {key % self.effective: key for key in self.customers}
        tags = {place: self.tag(key) for place, key in one_of_each_set.items()}
        kinds = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=REQUESTS)
        customers = chance.choices(self.customers, k=REQUESTS)
        return [
            self.request(kind, customer, tags[customer % self.effective])
            for kind, customer in zip(kinds, customers, strict=True)
        ]

    def request(self, kind: str, customer: int, tag: str) -> Request:
        headers = self.shop.shopper(customer)
        match kind:
            case "items":
                return Request("GET", SHOP_ITEMS, headers)
            case "products":
                return self.shop.products_for_segments_of(customer)
            case "tree":
                return Request("GET", f"{SHOP_ITEMS}/category-trees", headers)
            case "unchanged":
                return Request("GET", SHOP_ITEMS, (*headers, ("If-None-Match", tag)))
            case _:
                return self.shop.on_coupon("validation", self.shop.codes_of(customer)[0], customer)

    def tag(self, customer: int) -> str:
        """Return the tag of the customer's items."""
        return perform(Request("GET", SHOP_ITEMS, self.shop.shopper(customer))).headers["ETag"]

    def statuses(self) -> dict[str, int]:
        """Return what the first customer is answered to each kind of request."""
        customer = self.customers[0]
        tag = self.tag(customer)
        return {kind: perform(self.request(kind, customer, tag)).status for kind in WEIGHTS}
