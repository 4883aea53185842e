"""The filters of the lists of legal entities and contact assignments."""

from accounts.models import ContactAssignment, LegalEntity
from core.api.filters import FlagFilter, ListFilterSet, ReferenceFilter, TextFilter


def of_legal_info(name: str, lookup_expr: str = "exact") -> TextFilter:
    """Return the filter by a text of the legal information."""
    described = f"Legal entities with this {name}, whole and in this case."
    if lookup_expr == "icontains":
        described = f"Legal entities whose {name} has this part, in any case."
    return TextFilter(
        parameter=f"legalInfo.{name}",
        field_name=f"legal_info__{name}",
        lookup_expr=lookup_expr,
        description=described,
    )


class LegalEntityFilters(ListFilterSet):
    id = TextFilter(
        field_name="external_id",
        lookup_expr="iexact",
        description="The one with this id, in any case.",
    )
    name = TextFilter(
        lookup_expr="icontains", description="Legal entities whose name has this part, in any case."
    )
    type = TextFilter(description="Legal entities of this type, COMPANY or SUBSIDIARY.")
    parent_id = ReferenceFilter(field_name="parent", description="Subsidiaries of the entity with this id.")
    legal_name = of_legal_info("legalName", "icontains")
    registration_date = of_legal_info("registrationDate")
    tax_registration_number = of_legal_info("taxRegistrationNumber")
    registration_agency = of_legal_info("registrationAgency", "icontains")
    country_of_registration = of_legal_info("countryOfRegistration", "icontains")
    registration_id = of_legal_info("registrationId")

    class Meta:
        model = LegalEntity
        alias = "legal_entity"
        fields = ()


class ContactAssignmentFilters(ListFilterSet):
    legal_entity = ReferenceFilter(
        parameter="legalEntity.id", description="Contacts of the legal entity with this id."
    )
    customer = ReferenceFilter(
        parameter="customer.id", description="Assignments of the customer with this id."
    )
    type = TextFilter(description="Contacts of this type: PRIMARY, BILLING, LOGISTICS or CONTACT.")
    primary = FlagFilter(field_name="is_primary", description="Primary contacts, or (false) all others.")

    class Meta:
        model = ContactAssignment
        alias = "contact"
        fields = ()
