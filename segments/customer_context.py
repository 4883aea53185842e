"""The customer whose segments are resolved, and the legal entity that they act for; or an anonymous one.

Only the entity acted for counts, so that one company's assortment never shows in another company's session.
"""

from dataclasses import dataclass
from functools import cache

from core.errors import NotAllowed
from core.sql.composition import Sql, filled, slot, slots, sql
from core.tenancy.callers import Caller, Identity


@dataclass(frozen=True, slots=True)
class CustomerContext:
    """A customer and the legal entity they act for, by keys. Without a customer there are no segments."""

    tenant_id: int
    customer_id: int | None = None
    legal_entity_id: int | None = None


@dataclass(frozen=True, slots=True)
class Shopper:
    """The customer that a request is about, before anything was looked up.

    The customer is known by key, or in a preview by `customer_number`. `bound_legal_entity` is the entity of
    the token, `named_legal_entity` the id that the request names; an empty text means none.
    """

    tenant_id: int
    customer_id: int | None = None
    customer_number: str = ""
    bound_legal_entity: Identity | None = None
    named_legal_entity: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a customer at all: anonymous callers and services are members of nothing."""
        return self.customer_id is not None or bool(self.customer_number)

    @property
    def wanted_legal_entity(self) -> str:
        """The id of the entity to act for, empty when none is named.

        Raises NotAllowed when the token is bound to another entity than the request names.
        """
        bound = self.bound_legal_entity.external_id if self.bound_legal_entity else ""
        named = self.named_legal_entity
        if bound and named and bound != named:
            raise NotAllowed(f"The token acts for the legal entity {bound}, not for {named}.")
        return bound or named

    @property
    def shape(self) -> tuple[bool, bool, bool]:
        """What `key_expressions` depends on."""
        return (
            self.customer_id is not None,
            self.bound_legal_entity is not None,
            bool(self.named_legal_entity),
        )

    def key_values(self) -> dict[str, object]:
        """Return the values of the slots of `key_expressions`. Raises as `wanted_legal_entity` does."""
        wanted = self.wanted_legal_entity
        return {
            "tenant": self.tenant_id,
            "shopper": self.customer_number if self.customer_id is None else self.customer_id,
            "entity": self.bound_legal_entity.id if self.bound_legal_entity else wanted,
        }

    def keys(self) -> tuple[Sql, Sql]:
        """Return the keys of the customer and of the entity that they act for; NULL means nobody."""
        if not self.is_known:
            return NOBODY, NOBODY
        values = self.key_values()
        customer, legal_entity = key_expressions(*self.shape)
        return filled(customer, values), filled(legal_entity, values)


NOBODY = Sql("NULL::bigint")


@cache
def key_expressions(has_key: bool, is_bound: bool, names_entity: bool) -> tuple[Sql, Sql]:
    """Return the keys of a shopper and of the entity that they act for, as expressions of `slots`.

    The entity is the wanted one if the customer is a contact of it, else the only one that they are a
    contact of: a customer of several entities who names none acts for none. NULL means nobody.
    """
    if has_key:
        customer = slots("{shopper:bigint}")
    else:
        customer = slots(
            "(SELECT id FROM accounts_customer WHERE tenant_id = {tenant} AND external_id = {shopper})"
        )
    is_wanted = Sql("")
    if is_bound:
        is_wanted = slots(" AND contact.legal_entity_id = {entity}")
    elif names_entity:
        is_wanted = slots(
            " AND contact.legal_entity_id = (SELECT id FROM accounts_legalentity"
            " WHERE tenant_id = {tenant} AND external_id = {entity})"
        )
    legal_entity = sql(
        "(SELECT CASE WHEN count(*) = 1 THEN min(found.legal_entity_id) END FROM"
        " (SELECT contact.legal_entity_id FROM accounts_contactassignment AS contact"
        " WHERE contact.tenant_id = {tenant} AND contact.customer_id = {customer}{is_wanted}"
        " LIMIT 2) AS found)",
        tenant=slot("tenant"),
        customer=customer,
        is_wanted=is_wanted,
    )
    return customer, legal_entity


def shopper_of(caller: Caller, *, legal_entity_id: str | None = None) -> Shopper:
    """Return the shopper that a caller is, naming perhaps a legal entity to act for."""
    if caller.customer is None:
        return Shopper(caller.tenant.id)
    return Shopper(
        caller.tenant.id,
        customer_id=caller.customer.id,
        bound_legal_entity=caller.legal_entity,
        named_legal_entity=legal_entity_id or "",
    )


def checked_customer_context(
    shopper: Shopper, customer_id: int | None, legal_entity_id: int | None
) -> CustomerContext:
    """Return the context; raise NotAllowed when the shopper names an entity that is not theirs."""
    if shopper.wanted_legal_entity and legal_entity_id is None:
        raise not_assigned_to(shopper.wanted_legal_entity)
    return CustomerContext(shopper.tenant_id, customer_id, legal_entity_id)


def not_assigned_to(legal_entity_id: str) -> NotAllowed:
    """Return the error of a shopper who names an entity that is not theirs."""
    return NotAllowed(f"The customer is not assigned to the legal entity {legal_entity_id}.")
