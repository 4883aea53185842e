"""Campaigns: up to 100,000 single-use codes that share their terms, made slice by slice."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from django.db import transaction
from django.utils.translation import gettext_noop

from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import Job
from core.errors import AlreadyExists
from core.sql.composition import param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.integrity import translate_integrity_errors
from core.tenancy.identifiers import generate_id
from coupons.bodies import UNLIMITED, CampaignBody, CouponBody, columns_of
from coupons.codes import check_code, generate_campaign_codes
from coupons.eligibility_queries import normalise_code
from coupons.errors import CampaignExported, CampaignIncomplete, CampaignNotFound
from coupons.models import Coupon, CouponCampaign
from coupons.operations.coupons import refuse_problems, settings_of
from coupons.operations.restrictions import look_up, unknown_references, write_restrictions
from coupons.rules import problems_of

SLICE = 5_000
"""How many codes are made in one transaction."""
JOB = "generate coupon codes"


@dataclass(frozen=True, slots=True)
class Progress:
    """How many codes of a campaign there are, and how many there are to be."""

    made: int
    wanted: int

    @property
    def is_complete(self) -> bool:
        return self.made >= self.wanted


@transaction.atomic
def create_campaign(*, tenant_id: int, body: CampaignBody, at: datetime) -> CouponCampaign:
    """Store a campaign and the terms of its codes; `generate_codes` makes the codes.

    Raises InvalidTerms with everything that is wrong with the template, InvalidCode for a prefix that cannot
    begin a code, and AlreadyExists when the id is taken.
    """
    template = single_use(body.template)
    known = look_up(tenant_id, [template])
    refuse_problems([*problems_of(template), *unknown_references(template, known)])
    prefix = normalise_code(body.prefix, case_sensitive=settings_of(tenant_id).codes_are_case_sensitive)
    check_code(f"{prefix}X")
    terms = Coupon(
        tenant_id=tenant_id,
        code=f"terms of campaign {generate_id()}",  # nobody enters it: no code leads to terms
        created_at=at,
        modified_at=at,
        **columns_of(template),
    )
    terms.save(force_insert=True)
    Coupon.objects.filter(pk=terms.pk).update(terms=terms)
    if template.is_segment_restricted or template.is_category_restricted:
        write_restrictions(tenant_id, {terms.pk: template}, known)
    campaign = CouponCampaign(
        tenant_id=tenant_id,
        external_id=body.id or generate_id(),
        terms=terms,
        prefix=prefix,
        code_count=body.count,
        created_at=at,
    )
    taken = AlreadyExists(f"There is a campaign {campaign.external_id} already.", field="id")
    with translate_integrity_errors({"coupon_campaign_id_unique": taken}):
        campaign.save(force_insert=True)
    return campaign


def single_use(template: CouponBody) -> CouponBody:
    """Return the terms of codes that can be used once each; the template's own code plays no part."""
    if template.max_redemptions not in (UNLIMITED, 1):
        return template
    return msgspec.structs.replace(template, code="", max_redemptions=1)


def queue_codes(campaign: CouponCampaign, *, requested_by: str, at: datetime) -> None:
    """Have the background worker make the campaign's codes."""
    enqueue_job(
        JOB,
        tenant_id=campaign.tenant_id,
        arguments={"campaign": campaign.external_id},
        requested_by=requested_by,
        at=at,
    )


def run_job(job: Job, at: datetime) -> bool:
    assert job.tenant_id is not None
    progress = generate_codes(tenant_id=job.tenant_id, campaign_id=job.arguments["campaign"], at=at)
    job.progress = {"made": progress.made, "wanted": progress.wanted}
    return not progress.is_complete


register_job_kind(JobKind(JOB, run_job, gettext_noop("Codes of a campaign")))


@transaction.atomic
def generate_codes(*, tenant_id: int, campaign_id: str, at: datetime) -> Progress:
    """Make the next codes of a campaign that lacks some; return how many there are.

    Whoever calls it again goes on, until all are there; two at once make none too many. Raises
    CampaignNotFound.
    """
    campaign = locked_campaign(tenant_id, campaign_id)
    made = count_codes(campaign)
    wanted = min(SLICE, campaign.code_count - made)
    if wanted > 0:
        made += insert_codes(campaign, generate_campaign_codes(wanted, campaign.prefix), at=at)
    return Progress(made, campaign.code_count)


def insert_codes(campaign: CouponCampaign, codes: list[str], *, at: datetime) -> int:
    """Insert coupons of these codes that have no terms of their own; return how many were new.

    Whatever a column of terms must hold is the least that the constraints of the table allow.
    """
    return execute(
        sql(
            "INSERT INTO coupons_coupon (tenant_id, code, terms_id, name, description, discount_type,"
            " discount_calculation_type, allows_anonymous, is_category_restricted, is_segment_restricted,"
            " valid_for, issued_to, is_referral, is_deleted, redemption_count, version, mixins,"
            " mixin_schemas, created_at, modified_at)"
            " SELECT {tenant}, code, {terms}, '-', '', 'FREE_SHIPPING', 'TOTAL', FALSE, FALSE, FALSE,"
            " '{{}}', '', FALSE, FALSE, 0, 0, '{{}}', '{{}}', {at}, {at} FROM unnest({codes}) AS given (code)"
            " ON CONFLICT (tenant_id, code) DO NOTHING",
            tenant=param(campaign.tenant_id),
            terms=param(campaign.terms_id),
            codes=param(codes, "text[]"),
            at=param(at),
        )
    )


def find_campaign(tenant_id: int, campaign_id: str) -> CouponCampaign:
    """Return the tenant's campaign of this id; raise CampaignNotFound."""
    campaign = CouponCampaign.objects.filter(tenant=tenant_id, external_id=campaign_id).first()
    if campaign is None:
        raise CampaignNotFound(campaign_id)
    return campaign


def locked_campaign(tenant_id: int, campaign_id: str) -> CouponCampaign:
    """Return the campaign locked until commit; raise CampaignNotFound."""
    found = find_campaign(tenant_id, campaign_id)
    return CouponCampaign.objects.select_for_update(of=("self",)).get(pk=found.pk)


def count_codes(campaign: CouponCampaign) -> int:
    """Return how many codes the campaign has."""
    [(count,)] = fetch_rows(
        sql(
            "SELECT count(*) FROM coupons_coupon WHERE tenant_id = {tenant} AND terms_id = {terms}"
            " AND id <> {terms}",
            tenant=param(campaign.tenant_id),
            terms=param(campaign.terms_id),
        )
    )
    return count


@transaction.atomic
def deactivate_campaign(*, tenant_id: int, campaign_id: str, at: datetime) -> None:
    """End all codes of a campaign at once: their window closes. A second time changes nothing.

    Raises CampaignNotFound.
    """
    campaign = locked_campaign(tenant_id, campaign_id)
    if campaign.deactivated_at is not None:
        return
    _end_terms(campaign, at - timedelta(microseconds=1), at=at)  # the end of a window is inside it
    campaign.deactivated_at = at
    campaign.save(update_fields=["deactivated_at"])


@transaction.atomic
def end_campaign(*, tenant_id: int, campaign_id: str, ends_at: datetime, at: datetime) -> None:
    """Let all codes of a campaign end at that instant, if they end later. Raises CampaignNotFound."""
    _end_terms(locked_campaign(tenant_id, campaign_id), ends_at, at=at)


def _end_terms(campaign: CouponCampaign, ends_at: datetime, *, at: datetime) -> None:
    terms = Coupon.objects.select_for_update(of=("self",)).get(pk=campaign.terms_id)
    terms.valid_to = ends_at if terms.valid_to is None else min(ends_at, terms.valid_to)
    terms.valid_from = terms.valid_from and min(terms.valid_from, terms.valid_to)
    terms.version += 1
    terms.modified_at = at
    terms.save(update_fields=["valid_from", "valid_to", "version", "modified_at"])


@transaction.atomic
def export_codes(*, tenant_id: int, campaign_id: str, at: datetime) -> list[str]:
    """Return the campaign's codes in the order in which they were made. They are handed out once.

    Raises CampaignNotFound, CampaignIncomplete while codes are being made, and CampaignExported.
    """
    campaign = locked_campaign(tenant_id, campaign_id)
    if campaign.exported_at is not None:
        raise CampaignExported(campaign_id, campaign.exported_at)
    made = count_codes(campaign)
    if made < campaign.code_count:
        raise CampaignIncomplete(campaign_id, made, campaign.code_count)
    campaign.exported_at = at
    campaign.save(update_fields=["exported_at"])
    rows = fetch_rows(
        sql(
            "SELECT code FROM coupons_coupon WHERE tenant_id = {tenant} AND terms_id = {terms}"
            " AND id <> {terms} ORDER BY id",
            tenant=param(tenant_id),
            terms=param(campaign.terms_id),
        )
    )
    return [code for (code,) in rows]
