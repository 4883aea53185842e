"""Six segments whose members are found by a rule: what shops ask for, over real purchases and households."""

from collections.abc import Mapping
from dataclasses import dataclass

from config.demo.rows import Load, numbered
from config.demo.shop import SITE
from core.imports.merge import Tally
from core.representation.languages import Name, Translations
from segments.imports.segments import SEGMENTS, SegmentRow, staged_segment
from segments.models import Rule
from segments.rules.operations import save_rule

CUSTOMERS, COMPANIES = Rule.Membership.CUSTOMER, Rule.Membership.LEGAL_ENTITY


@dataclass(frozen=True, slots=True)
class RuledSegment:
    """A segment, its names and descriptions by language, and its rule."""

    external_id: str
    name: Mapping[str, str]
    description: Mapping[str, str]
    q: str
    mode: str = Rule.Mode.LIVE
    membership: str = CUSTOMERS


RULED_SEGMENTS = (
    RuledSegment(
        "coupon-regulars",
        {"en": "Coupon regulars", "de": "Stammeinlöser"},
        {
            "en": "Two or more coupons redeemed within 90 days.",
            "de": "Zwei oder mehr Gutscheine in 90 Tagen eingelöst.",
        },
        "redemptions.90d.count:>=2",
    ),
    RuledSegment(
        "families-50-74k",
        {"en": "Families with 50-74K", "de": "Familien mit 50-74K"},
        {
            "en": "Households with kids and an income of 50-74K.",
            "de": "Haushalte mit Kindern und einem Einkommen von 50-74K.",
        },
        'mixins.demographics.income:50-74K mixins.demographics.kidsCount:(1,2,"3+")',
    ),
    RuledSegment(
        "new-customers",
        {"en": "New customers", "de": "Neukunden"},
        {"en": "First purchase within 30 days.", "de": "Erster Einkauf in den letzten 30 Tagen."},
        "metadataCreatedAt:>=now-30d",
    ),
    RuledSegment(
        "in-good-standing",
        {"en": "In good standing", "de": "Nicht gesperrt"},
        {"en": "Everybody who is not on hold.", "de": "Alle, die nicht gesperrt sind."},
        "compoundLogicalQuery:(NOT (onHold:true))",
    ),
    RuledSegment(
        "company-buyers",
        {"en": "Buyers of companies", "de": "Einkäufer von Firmen"},
        {
            "en": "Contacts of companies and their subsidiaries, while they act for them.",
            "de": "Ansprechpartner von Firmen und deren Töchtern, während sie für diese handeln.",
        },
        "type:(COMPANY,SUBSIDIARY)",
        membership=COMPANIES,
    ),
    RuledSegment(
        "best-savers",
        {"en": "Best savers of the year", "de": "Beste Sparer des Jahres"},
        {
            "en": "The ten percent with the largest discounts of the year, looked up once.",
            "de": "Die zehn Prozent mit den größten Rabatten des Jahres, einmal ermittelt.",
        },
        "redemptions.365d.total:top(10%)",
        mode=Rule.Mode.SNAPSHOT,
    ),
)


def load_rules(load: Load) -> None:
    """Make the segments and give them their rules; the background worker finds the members."""
    rows = [
        staged_segment(
            SegmentRow(
                id=each.external_id,
                site_code=SITE,
                name=Name(each.name),
                description=Translations(**each.description),
                status="ACTIVE",
            )
        )
        for each in RULED_SEGMENTS
    ]
    load.merge("segments with rules", SEGMENTS, numbered(rows))
    tally = Tally()
    for each in load.progress.counted("rules", RULED_SEGMENTS, len(RULED_SEGMENTS)):
        before = Rule.objects.filter(tenant=load.tenant_id, segment__external_id=each.external_id).first()
        save_rule(
            tenant_id=load.tenant_id,
            segment_id=each.external_id,
            q=each.q,
            mode=each.mode,
            membership=each.membership,
            at=load.at,
        )
        after = Rule.objects.get(tenant=load.tenant_id, segment__external_id=each.external_id)
        tally.rows += 1
        tally.created += before is None
        tally.unchanged += before is not None and before.version == after.version
        tally.changed += before is not None and before.version != after.version
    load.note("rules", tally)
