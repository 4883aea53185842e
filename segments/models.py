from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.tenancy.documents import Document, DocumentQuerySet, TenantDocument, TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey
from core.tenancy.identifiers import UNREACHABLE_IDS
from core.windows import opens_before_it_closes, window_contains


class SegmentQuerySet(DocumentQuerySet):
    """Reads of segments."""

    def effective_at(self, at: datetime) -> Self:
        """Keep the segments that are ACTIVE and whose validity window contains `at`."""
        return self.filter(window_contains(at), status="ACTIVE")


class Segment(TenantDocument):
    """A group of customers, and of products and categories for them, on one site, within a window."""

    reserved_ids = UNREACHABLE_IDS | {"bulk", "items", "match", "search"}

    site = TenantForeignKey(
        "accounts.Site", on_delete=models.RESTRICT, related_name="segments", db_index=True
    )
    name = models.JSONField(default=dict)
    description = models.JSONField(default=dict, blank=True)
    status = models.CharField(
        max_length=8, choices=[("ACTIVE", "Active"), ("INACTIVE", "Inactive")], default="INACTIVE"
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)

    objects = SegmentQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["tenant", "site"], name="segment_of_site"),
            models.Index(
                fields=["tenant", "valid_from"],
                condition=Q(valid_from__isnull=False),
                name="segment_window_opens",
            ),
            models.Index(
                fields=["tenant", "valid_to"],
                condition=Q(valid_to__isnull=False),
                name="segment_window_closes",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="segment_id_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="segment_tenant_key"),
            opens_before_it_closes("segment_window_opens_before_it_closes"),
        ]

    def __str__(self) -> str:
        return self.titled(self.name)


class Assignment(TenantOwned, Document):
    """A member or an item of a segment, from `valid_from` to `valid_to` (both included, absent ends open).

    These are the largest tables and written in bulk, so they have no index beside the ones they name: each
    reference is looked up through one that begins with it or with the tenant.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    segment = models.ForeignKey(
        Segment, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+", db_index=False
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        abstract = True


class CustomerAssignment(Assignment):
    """A customer of a segment, by themselves (B2C) or when acting for one legal entity (B2B)."""

    segment = TenantForeignKey(
        Segment,
        on_delete=models.CASCADE,
        related_name="customer_assignments",
    )
    customer = TenantForeignKey(
        "accounts.Customer",
        on_delete=models.CASCADE,
        related_name="segment_assignments",
    )
    legal_entity = TenantForeignKey(
        "accounts.LegalEntity",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="segment_assignments",
    )
    assignment_type = models.CharField(
        max_length=9, choices=[("MANUAL", "Manual"), ("AUTOMATIC", "Automatic")], default="MANUAL"
    )

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(
                fields=["tenant", "customer"],
                include=["segment", "legal_entity", "valid_from", "valid_to"],
                name="segments_of_customer",
            ),
            models.Index(fields=["tenant", "id"], name="members_of_tenant"),
            models.Index(fields=["segment", "id"], name="members_of_segment"),
            models.Index(
                fields=["tenant", "legal_entity"],
                condition=Q(legal_entity__isnull=False),
                name="segments_of_legal_entity",
            ),
            models.Index(
                fields=["segment", "valid_from"],
                condition=Q(valid_from__isnull=False),
                name="segment_member_opens",
            ),
            models.Index(
                fields=["segment", "valid_to"],
                condition=Q(valid_to__isnull=False),
                name="segment_member_closes",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "segment", "customer", "legal_entity"],
                nulls_distinct=False,  # without a legal entity it is the B2C assignment: still only one
                name="customer_assignment_unique",
            ),
            opens_before_it_closes("customer_assignment_window_opens_before_it_closes"),
        ]

    def __str__(self) -> str:
        return f"{self.customer} in {self.segment}"


class SegmentSet(models.Model):
    """What the key of a set of segments means: these segments, as far as they are of the site.

    Answers at the edge are shared by such a key (docs/caching.md). Nobody uses it after `expires_at`.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=43)
    site_code = models.TextField(blank=True)
    segment_keys = ArrayField(models.BigIntegerField())
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="segment_set_expiry")]
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="segment_set_unique")]

    def __str__(self) -> str:
        return self.key


class ItemAssignment(Assignment):
    """A product or a category belonging to a segment.

    A category means only itself, unless `includes_subcategories` says that all its descendants count too.
    """

    segment = TenantForeignKey(
        Segment,
        on_delete=models.CASCADE,
        related_name="item_assignments",
    )
    product = TenantForeignKey(
        "catalog.Product",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="segment_assignments",
    )
    category = TenantForeignKey(
        "catalog.Category",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="segment_assignments",
    )
    includes_subcategories = models.BooleanField(default=False)

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["tenant", "id"], name="items_of_tenant"),
            models.Index(
                fields=["tenant", "segment", "id"],
                include=["valid_from", "valid_to"],
                name="items_of_segment",
            ),
            models.Index(
                fields=["tenant", "segment", "id"],
                include=["category", "includes_subcategories", "valid_from", "valid_to"],
                condition=Q(category__isnull=False),
                name="categories_of_segment",
            ),
            models.Index(
                fields=["tenant", "valid_from"],
                condition=Q(valid_from__isnull=False),
                name="item_window_opens",
            ),
            models.Index(
                fields=["tenant", "valid_to"], condition=Q(valid_to__isnull=False), name="item_window_closes"
            ),
            models.Index(
                fields=["segment", "valid_from"],
                condition=Q(valid_from__isnull=False),
                name="segment_item_opens",
            ),
            models.Index(
                fields=["segment", "valid_to"],
                condition=Q(valid_to__isnull=False),
                name="segment_item_closes",
            ),
            models.Index(
                fields=["tenant", "product", "segment"],
                include=["valid_from", "valid_to"],
                condition=Q(product__isnull=False),
                name="segments_of_product",
            ),
            models.Index(
                fields=["tenant", "category", "segment"],
                condition=Q(category__isnull=False),
                name="segments_of_category",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "segment", "product", "category"],
                nulls_distinct=False,
                name="item_assignment_unique",
            ),
            models.CheckConstraint(
                condition=Q(product__isnull=False, category__isnull=True, includes_subcategories=False)
                | Q(product__isnull=True, category__isnull=False),
                name="item_assignment_product_or_category",
            ),
            opens_before_it_closes("item_assignment_window_opens_before_it_closes"),
        ]

    @property
    def type(self) -> str:
        """PRODUCT or CATEGORY."""
        return "PRODUCT" if self.product_id is not None else "CATEGORY"

    def __str__(self) -> str:
        return f"{self.product or self.category} in {self.segment}"


class Rule(TenantOwned):
    """Who belongs to a segment: a `q` over facts about customers, or about the companies that they act for.

    LIVE rules are kept right by the background worker; a SNAPSHOT is evaluated once. Members by rule are
    AUTOMATIC assignments. The fields from `state` on are written by evaluations (segments/rules).
    """

    class Mode(models.TextChoices):
        LIVE = "LIVE", _("Kept right")
        SNAPSHOT = "SNAPSHOT", _("Evaluated once")

    class Membership(models.TextChoices):
        CUSTOMER = "CUSTOMER", _("Customers")
        LEGAL_ENTITY = "LEGAL_ENTITY", _("Contacts of companies")

    class State(models.TextChoices):
        PENDING = "PENDING", _("Waits for its evaluation")
        EVALUATING = "EVALUATING", _("Is being evaluated")
        READY = "READY", _("Up to date")
        FAILED = "FAILED", _("Failed")

    segment = TenantForeignKey(Segment, on_delete=models.CASCADE, related_name="rules")
    q = models.TextField()
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.LIVE)
    membership = models.CharField(max_length=12, choices=Membership.choices, default=Membership.CUSTOMER)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    modified_at = models.DateTimeField(default=timezone.now, editable=False)
    watched = ArrayField(
        models.TextField(), default=list, editable=False, help_text="The columns that its terms read."
    )
    used_segments = ArrayField(
        models.TextField(), default=list, editable=False, help_text="The segments that its terms name."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING, editable=False)
    message = models.TextField(blank=True, editable=False, help_text="Why its last evaluation failed.")
    members = models.IntegerField(null=True, editable=False, help_text="Members by rule, when last counted.")
    added = models.IntegerField(null=True, editable=False, help_text="How many its last evaluation added.")
    removed = models.IntegerField(null=True, editable=False, help_text="How many it removed.")
    milliseconds = models.IntegerField(null=True, editable=False, help_text="Time of its last evaluation.")
    evaluated_at = models.DateTimeField(null=True, editable=False, help_text="As of when it was evaluated.")
    judged_until = models.DateTimeField(
        null=True, editable=False, help_text="Up to when the passing of time has been judged."
    )
    next_due_at = models.DateTimeField(
        null=True, editable=False, help_text="When time next moves a customer in or out."
    )
    due_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Since when it waits for an evaluation that nobody asked for yet.",
    )
    evaluation = models.BigIntegerField(
        null=True, editable=False, help_text="The job that evaluates it, or did so last."
    )
    drift = models.BigIntegerField(
        default=0, editable=False, help_text="Members that only the nightly evaluation put right."
    )

    objects = DocumentQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="rule_due"),
            models.Index(
                fields=["next_due_at"], condition=Q(next_due_at__isnull=False), name="rule_due_by_time"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "segment"], name="rule_of_segment_unique"),
        ]

    def __str__(self) -> str:
        return self.q


class RuleExclusion(TenantOwned):
    """A customer who was taken out of a segment by hand: no rule adds them until it is lifted."""

    segment = TenantForeignKey(Segment, on_delete=models.CASCADE, related_name="rule_exclusions")
    customer = TenantForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="+")
    legal_entity = TenantForeignKey(
        "accounts.LegalEntity", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    actor_type = models.CharField(max_length=10, blank=True, editable=False)
    actor_id = models.TextField(blank=True, editable=False, help_text="Who took the customer out.")

    objects = DocumentQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        verbose_name = _("exclusion from the rule")
        verbose_name_plural = _("exclusions from rules")
        indexes = [
            models.Index(fields=["tenant", "customer"], name="exclusions_of_customer"),
            models.Index(
                fields=["tenant", "legal_entity"],
                condition=Q(legal_entity__isnull=False),
                name="exclusions_of_legal_entity",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "segment", "customer", "legal_entity"],
                nulls_distinct=False,
                name="rule_exclusion_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer} not in {self.segment}"


class DueCustomer(models.Model):
    """A customer with a change in something that rules of the tenant read; triggers write these.

    Several rows of one customer are one piece of work. They name no foreign keys, so that writers of
    customers never wait here. `rule` is empty for all rules of the tenant; a deferred row waits for the
    evaluation of its rule to end.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    customer_id = models.BigIntegerField()
    rule_id = models.BigIntegerField(null=True)
    since = models.DateTimeField(db_default=Now())
    is_deferred = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ("id",)
        default_permissions = ()
        indexes = [
            models.Index(fields=["tenant", "id"], condition=Q(is_deferred=False), name="due_customers"),
            models.Index(fields=["since"], condition=Q(is_deferred=False), name="due_customers_by_time"),
            models.Index(fields=["rule_id"], condition=Q(is_deferred=True), name="deferred_customers"),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} since {self.since}"


class RuleDelta(models.Model):
    """A member that an evaluation adds or takes away, from when it is computed to when it is applied.

    `assignment_id` is the assignment that is taken away; empty for one that is added. The table is unlogged:
    after a crash of PostgreSQL it is empty, and the evaluation begins anew.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    evaluation = models.BigIntegerField(help_text="The job.")
    customer_id = models.BigIntegerField()
    legal_entity_id = models.BigIntegerField(null=True)
    assignment_id = models.BigIntegerField(null=True)

    class Meta:
        ordering = ("id",)
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.customer_id} by {self.evaluation}"


class Tally(models.Model):
    """A part of a count that triggers keep: the sum of the rows of a kind and key is the exact count.

    The key is a segment's, of `customers` the tenant's. As with revisions, a writer takes any row that no
    other transaction holds, so writers never wait for each other here.
    """

    class Kind(models.TextChoices):
        MEMBERS = "members"
        COMPANY_MEMBERS = "company_members"
        PRODUCTS = "products"
        CATEGORIES = "categories"
        CUSTOMERS = "customers"

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=15, choices=Kind.choices)
    key = models.BigIntegerField()
    count = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["tenant", "key", "kind"], name="tally_of_key")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.key}: {self.count}"
