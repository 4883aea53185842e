"""Who looks at segments: a customer and the legal entity that they act for, or nobody known.

Only the entity acted for counts, so that one company's range never shows in another company's session.
"""

from dataclasses import dataclass

from core.errors import NotAllowed
from core.sql.statements import Sql, fetch_rows
from core.tenancy.callers import Caller, Identity


@dataclass(frozen=True, slots=True)
class Viewer:
    """A shopper as visibility knows them, by keys. Without a customer they belong to nothing."""

    tenant_id: int
    customer_id: int | None = None
    legal_entity_id: int | None = None


@dataclass(frozen=True, slots=True)
class Shopper:
    """Whose sight is asked for, before anything was looked up.

    The customer is known by key, or by `customer_number` alone in a preview. `bound_legal_entity` is the
    entity of the token, `named_legal_entity` the id that the request names; an empty text means none.
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
    def customer_key(self) -> Sql:
        """The customer's key as an expression."""
        if self.customer_id is not None:
            return Sql("%s::bigint", (self.customer_id,))
        return Sql(
            "(SELECT id FROM accounts_customer WHERE tenant_id = %s AND external_id = %s)",
            (self.tenant_id, self.customer_number),
        )

    @property
    def acting_legal_entity(self) -> Sql:
        """The key of the entity that the customer acts for, as an expression; NULL when there is none.

        It is the wanted one if the customer is a contact of it, else the only one that they are a contact
        of: a customer of several entities who names none acts for none.
        """
        wanted, customer = self.wanted_legal_entity, self.customer_key
        entity = Sql("")
        if self.bound_legal_entity:
            entity = Sql(" AND contact.legal_entity_id = %s", (self.bound_legal_entity.id,))
        elif wanted:
            entity = Sql(
                " AND contact.legal_entity_id ="
                " (SELECT id FROM accounts_legalentity WHERE tenant_id = %s AND external_id = %s)",
                (self.tenant_id, wanted),
            )
        return Sql(
            "(SELECT CASE WHEN count(*) = 1 THEN min(found.legal_entity_id) END FROM"
            " (SELECT contact.legal_entity_id FROM accounts_contactassignment AS contact"
            f" WHERE contact.tenant_id = %s AND contact.customer_id = {customer.text}{entity.text}"
            " LIMIT 2) AS found)",
            (self.tenant_id, *customer.values, *entity.values),
        )


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


def viewer_of(caller: Caller, *, legal_entity_id: str | None) -> Viewer:
    """Return the caller as a viewer, in at most one statement.

    Raises NotAllowed when the token acts for another entity, or the customer is no contact of the one named.
    """
    return view_as(shopper_of(caller, legal_entity_id=legal_entity_id))


def viewer_for(*, tenant_id: int, customer: Identity | None, legal_entity_id: str | None) -> Viewer:
    """Return a named customer as a viewer, by the same rules as the customer's own session."""
    if customer is None:
        return Viewer(tenant_id)
    return view_as(Shopper(tenant_id, customer_id=customer.id, named_legal_entity=legal_entity_id or ""))


def view_as(shopper: Shopper) -> Viewer:
    if not shopper.is_known:
        return Viewer(shopper.tenant_id)
    key, acting = shopper.customer_key, shopper.acting_legal_entity
    [(customer_id, legal_entity_id)] = fetch_rows(
        Sql(f"SELECT {key.text}, {acting.text}", (*key.values, *acting.values))
    )
    return checked_viewer(shopper, customer_id, legal_entity_id)


def checked_viewer(shopper: Shopper, customer_id: int | None, legal_entity_id: int | None) -> Viewer:
    """Return the viewer; raise NotAllowed when the shopper wants an entity that is not theirs."""
    if shopper.wanted_legal_entity and legal_entity_id is None:
        raise NotAllowed(f"The customer is not assigned to the legal entity {shopper.wanted_legal_entity}.")
    return Viewer(shopper.tenant_id, customer_id, legal_entity_id)
