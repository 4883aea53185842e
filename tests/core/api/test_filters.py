"""FilterSets as conditions of the SQL representations."""

import pytest
from django.http import QueryDict

from accounts.models import ContactAssignment, Customer, LegalEntity
from core.api.filters import (
    DayFilter,
    FlagFilter,
    ListFilterSet,
    ReferenceFilter,
    TextFilter,
    condition_of,
)
from core.errors import InvalidInput
from core.sql.composition import Sql, param, sql
from core.tenancy.callers import TenantRecord

ACME = TenantRecord(1, "acme", "en", ("en",), "EUR")


class ContactFilters(ListFilterSet):
    suffix: str

    legal_entity = ReferenceFilter(parameter="legalEntity.id", description="Its company.")
    type = TextFilter(max_length=20, description="Its type.")
    is_primary = FlagFilter(description="Whether it is primary.")
    changed_after = DayFilter(field_name="modified_at", lookup_expr="gt", description="A day.")
    email = TextFilter(condition="with_email", needs=("customer",), description="The end of the e-mail.")

    class Meta:
        model = ContactAssignment
        alias = "contact"
        fields = ()

    def with_email(self, value: str) -> Sql:
        return sql("customer.email LIKE {pattern}", pattern=param(value + self.suffix))


def filters(query: str) -> tuple[list[Sql], set[str]]:
    return ContactFilters(QueryDict(query), tenant=ACME, suffix="%").conditions()


def unquoted(condition: Sql) -> str:
    """Return the text without quotes: which names Django quotes differs from version to version."""
    return condition.sql.replace('"', "")


def test_parameters_become_conditions_on_the_alias_of_the_table():
    [condition], needs = filters("type=BILLING&isPrimary=TRUE")
    assert unquoted(condition) == "(contact.type = %s AND contact.is_primary)"
    assert condition.params == ("BILLING",)
    assert needs == set()


def test_a_reference_is_looked_up_by_its_wire_id_without_a_join():
    [condition], _ = filters("legalEntity.id=le1")
    assert unquoted(condition).startswith("contact.legal_entity_id = (SELECT")
    assert condition.params == ("le1", 1)


def test_a_filter_with_sql_of_its_own_says_which_joins_it_needs():
    assert filters("email=x") == ([Sql("customer.email LIKE %s", ("x%",))], {"customer"})


def test_empty_and_absent_parameters_ask_for_nothing():
    assert filters("type=&isPrimary=&other=1") == ([], set())
    assert not ContactFilters.names_any(QueryDict("type=&other=1"))
    assert ContactFilters.names_any(QueryDict("isPrimary=false"))


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("isPrimary=perhaps", "isPrimary", "isPrimary is true or false, not 'perhaps'."),
        ("type=" + "x" * 21, "type", "type is longer than 20 characters."),
        ("type=%00", "type", "type holds the character NUL."),
        ("legalEntity.id=" + "x" * 4_001, "legalEntity.id", "legalEntity.id is longer than 4000 characters."),
        (
            "changedAfter=01.02.2024",
            "changedAfter",
            "changedAfter must be a day such as 2022-11-01, or an instant with an offset.",
        ),
    ],
)
def test_a_faulty_parameter_is_named(query, field, message):
    with pytest.raises(InvalidInput) as refused:
        filters(query)
    assert (refused.value.field, refused.value.message) == (field, message)


def test_the_openapi_document_shows_the_parameters():
    described = {parameter.name: parameter for parameter in ContactFilters.described()}
    assert list(described) == ["legalEntity.id", "type", "isPrimary", "changedAfter", "email"]
    assert described["type"].type == {"type": "string", "maxLength": 20}
    assert described["isPrimary"].type == {"type": "boolean"}
    assert described["email"].description == "The end of the e-mail."


def test_a_queryset_that_joins_becomes_a_condition_on_the_key():
    [condition] = condition_of(LegalEntity.objects.filter(parent__name="A"), "legal_entity")
    assert condition.sql.startswith("legal_entity.id IN (SELECT")


def test_a_queryset_that_holds_nothing_or_everything():
    assert condition_of(Customer.objects.none(), "customer") == [Sql("FALSE")]
    assert condition_of(Customer.objects.all(), "customer") == []
