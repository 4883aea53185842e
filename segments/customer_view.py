"""What a customer is shown at an instant: segments, categories and products, by the storefront's rules."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson
from django.db.models import Model

from accounts.models import Customer
from core.journal.past import reading_past
from core.json_types import JsonObject
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from core.sql.time_limits import fetch_within
from segments.assortment import visible_products
from segments.category_trees import category_forest
from segments.explanations import ExplainedPath, Question, explain_memberships
from segments.models import CustomerAssignment
from segments.visibility import ResolvedSegments, resolve

QUICKLY: Final = 2_000  # milliseconds
MOST_DIFFERENT: Final = 10


@dataclass(frozen=True, slots=True)
class CustomerView:
    """What the customer of a question is shown."""

    question: Question
    resolved: ResolvedSegments
    memberships: list[ExplainedPath]
    forest: list[JsonObject]
    nodes: Mapping[str, JsonObject] = field(default_factory=dict)

    @property
    def products(self) -> Sql:
        """A SELECT of the keys of the products that are shown."""
        return visible_products(
            self.question.shopper.tenant_id,
            param(list(self.resolved.segment_ids), "bigint[]"),
            at=self.question.at,
        )


def view_of(question: Question) -> CustomerView:
    """Return what the customer is shown, in three statements.

    `question` names the customer, the site and the instant; what it asks about does not matter. Raises
    UnknownSite, and NotAllowed when the customer is no contact of the legal entity that is named.
    """
    resolved = resolve(question.shopper, at=question.at, site_code=question.site_code)
    segments = param(list(resolved.segment_ids), "bigint[]")
    forest = orjson.loads(
        category_forest(
            tenant_id=question.shopper.tenant_id,
            segments=segments,
            at=question.at,
            languages=question.languages,
        )
    )
    memberships = explain_memberships(question, resolved)
    return CustomerView(
        question, resolved, memberships, forest, {node["id"]: node for node in assigned_nodes(forest)}
    )


def products_view(question: Question) -> CustomerView:
    """Return the view with nothing but its products, in one statement."""
    resolved = resolve(question.shopper, at=question.at, site_code=question.site_code)
    return CustomerView(question, resolved, [], [])


def assigned_nodes(forest: list[JsonObject]) -> Iterator[JsonObject]:
    """Yield the categories of the forest that segments hold, not those that only lead there."""
    waiting = [*forest]
    while waiting:
        node = waiting.pop()
        waiting += node.get("subcategories", ())
        if node["isSegmentAssigned"]:
            yield node


@contextmanager
def at_its_time(question: Question, *, now: datetime) -> Iterator[None]:
    """Read the shop as it was at the question's instant, if that is over, as the API does."""
    if question.at >= now:
        yield
        return
    shopper = question.shopper
    customers = Customer.objects.filter(tenant=shopper.tenant_id, external_id=shopper.customer_number)
    keys = list(customers.values_list("pk", flat=True))
    needed: dict[type[Model], dict[str, list[int]]] = {
        Customer: {"id": keys},
        CustomerAssignment: {"customer_id": keys},
    }
    with reading_past(shopper.tenant_id, question.at, needed):
        yield


def keys_of_products(
    view: CustomerView, *, after: int | None, among: Sequence[int] | None, most: int
) -> list[int]:
    """Return the first keys of the products that are shown, perhaps only of these, in one statement."""
    conditions = [sql("shown.id > {after}", after=param(after or 0))]
    if among is not None:
        conditions.append(sql("shown.id = ANY({among})", among=param(list(among), "bigint[]")))
    rows = fetch_rows(
        sql(
            "SELECT shown.id FROM ({products}) AS shown WHERE {conditions} ORDER BY shown.id LIMIT {most}",
            products=view.products,
            conditions=Sql.joined(" AND ", conditions),
            most=param(most),
        )
    )
    return [key for (key,) in rows]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one view has that another has not: how many, and the first of them by name."""

    count: int
    names: tuple[str, ...]


def categories_beyond(
    view: CustomerView, other: CustomerView, name_of: Callable[[JsonObject], str]
) -> Difference:
    """Return the categories that `view` shows and `other` does not."""
    found = sorted(view.nodes.keys() - other.nodes.keys())
    return Difference(len(found), tuple(name_of(view.nodes[key]) for key in found[:MOST_DIFFERENT]))


def all_products(view: CustomerView) -> dict[int, tuple[str, str]] | None:
    """Return id and name of all products that are shown, by their keys; None when that takes too long."""
    rows = fetch_within(
        sql(
            "SELECT product.id, product.external_id, product.name::text FROM catalog_product AS product"
            " WHERE product.id IN ({products})",
            products=view.products,
        ),
        milliseconds=QUICKLY,
    )
    return None if rows is None else {key: (external_id, name) for key, external_id, name in rows}


def products_beyond(
    here: Mapping[int, tuple[str, str]],
    there: Mapping[int, tuple[str, str]],
    name_of: Callable[[JsonObject], str],
) -> Difference:
    """Return the products of the one that the other has not."""
    found = sorted(here.keys() - there.keys())
    first = [here[key] for key in found[:MOST_DIFFERENT]]
    return Difference(
        len(found), tuple(name_of({"id": key, "name": orjson.loads(name)}) for key, name in first)
    )
