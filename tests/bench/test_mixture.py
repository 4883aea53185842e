"""The mixture of a storefront: what is asked, by whom, and what is answered."""

from collections import Counter

import pytest

from bench.mixture.requests import REQUESTS, STATUSES, WEIGHTS, Mixture
from bench.scales import SCALES

pytestmark = pytest.mark.django_db


@pytest.fixture
def mixture(small: None, monkeypatch: pytest.MonkeyPatch) -> Mixture:
    monkeypatch.setattr("bench.mixture.requests.CUSTOMERS", 300)  # a token of each takes a millisecond
    return Mixture(SCALES["small"])


def test_every_kind_of_request_is_answered(mixture: Mixture) -> None:
    assert mixture.statuses() == {kind: STATUSES.get(kind, 200) for kind in WEIGHTS}


def test_the_shares_are_those_of_a_storefront_and_all_sets_of_segments_ask(mixture: Mixture) -> None:
    requests = mixture.requests()
    conditional = [request for request in requests if "If-None-Match" in dict(request.headers)]
    paths = Counter(
        "coupon"
        if request.method == "POST"
        else "tree"
        if request.path.endswith("/category-trees")
        else "products"
        if "segmentsIds" in request.path
        else "items"
        for request in requests
    )
    assert len(requests) == REQUESTS
    assert len(conditional) / REQUESTS == pytest.approx(0.15, abs=0.01)
    assert {kind: round(number / REQUESTS, 2) for kind, number in paths.items()} == pytest.approx(
        {"items": 0.45, "products": 0.3, "tree": 0.2, "coupon": 0.05}, abs=0.011
    )
    products = {request.path for request in requests if "segmentsIds" in request.path}
    assert len(products) == mixture.sets == 95
