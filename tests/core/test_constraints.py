import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from accounts.models import LegalEntity
from segments.models import CustomerAssignment, ItemAssignment
from tests.factories.accounts import CustomerFactory, LegalEntityFactory, SiteFactory
from tests.factories.catalog import ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory


def test_a_reference_never_leaves_its_tenant(site, other_tenant):
    segment = SegmentFactory(site=site)
    stranger = CustomerFactory(tenant=other_tenant)
    with pytest.raises(IntegrityError, match="customer_assignment_customer"):
        CustomerAssignment.objects.create(tenant=site.tenant, segment=segment, customer=stranger)


def test_validation_names_the_foreign_reference(site, other_tenant):
    segment = SegmentFactory(site=site)
    stranger = CustomerFactory(tenant=other_tenant)
    with pytest.raises(ValidationError) as refused:
        CustomerAssignment(tenant=site.tenant, segment=segment, customer=stranger).full_clean()
    assert refused.value.message_dict["customer"] == ["This customer belongs to another tenant."]


def test_segment_of_another_tenants_site_is_refused(site, other_tenant):
    with pytest.raises(IntegrityError, match="segment_site"):
        SegmentFactory(site=SiteFactory(tenant=other_tenant), tenant=site.tenant)


def test_deleting_a_segment_takes_its_assignments_along(site):
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory(segment=segment)
    ItemAssignmentFactory(segment=segment)
    segment.delete()
    assert CustomerAssignment.objects.count() == 0
    assert ItemAssignment.objects.count() == 0


def test_deleting_a_customer_or_a_product_takes_its_assignments_along(site):
    kept = CustomerAssignmentFactory(segment=SegmentFactory(site=site))
    gone = CustomerAssignmentFactory(segment=kept.segment)
    item = ItemAssignmentFactory(segment=kept.segment)
    gone.customer.delete()
    item.product.delete()
    assert list(CustomerAssignment.objects.all()) == [kept]
    assert ItemAssignment.objects.count() == 0


def test_a_site_with_segments_stays(site):
    SegmentFactory(site=site)
    with pytest.raises(IntegrityError, match="segment_site"):
        site.delete()


def test_a_company_with_subsidiaries_stays(tenant):
    parent = LegalEntityFactory(tenant=tenant)
    LegalEntityFactory(tenant=tenant, parent=parent)
    with pytest.raises(IntegrityError, match="legal_entity_parent"):
        parent.delete()


def test_b2c_and_b2b_assignments_are_different_rows_and_each_is_single(site):
    segment = SegmentFactory(site=site)
    customer = CustomerFactory(tenant=site.tenant)
    entity = LegalEntityFactory(tenant=site.tenant)
    for legal_entity in (None, entity):
        CustomerAssignmentFactory(segment=segment, customer=customer, legal_entity=legal_entity)
    with pytest.raises(IntegrityError, match="customer_assignment_unique"):
        CustomerAssignmentFactory(segment=segment, customer=customer)


def test_an_item_is_a_product_or_a_category(site):
    with pytest.raises(IntegrityError, match="item_assignment_product_or_category"):
        ItemAssignmentFactory(segment=SegmentFactory(site=site), product=None)


def test_a_product_has_no_subcategories_to_include(site):
    segment = SegmentFactory(site=site)
    with pytest.raises(IntegrityError, match="item_assignment_product_or_category"):
        ItemAssignmentFactory(
            segment=segment, product=ProductFactory(tenant=site.tenant), includes_subcategories=True
        )


def test_a_window_never_ends_before_it_starts(site, now):
    with pytest.raises(IntegrityError, match="segment_window_opens_before_it_closes"):
        SegmentFactory(site=site, valid_from=now, valid_to=now.replace(year=now.year - 1))


def test_parent_of_another_tenant_is_refused(tenant, other_tenant):
    foreign = LegalEntityFactory(tenant=other_tenant)
    with pytest.raises(IntegrityError, match="legal_entity_parent"):
        LegalEntity.objects.create(tenant=tenant, name="Branch", parent=foreign)


def test_a_tenant_foreign_key_brings_its_constraint():
    [constraint] = [
        constraint
        for constraint in CustomerAssignment._meta.constraints
        if constraint.name == "customer_assignment_customer"
    ]
    assert (constraint.field, constraint.on_delete) == ("customer", "CASCADE")
