"""Campaigns as segments, with the households and the products that they reach."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from config.demo.assortment import Path
from config.demo.calendar import Calendar
from config.demo.people import COMPANIES
from config.demo.rows import Load, numbered
from config.demo.shop import SITE
from config.demo.source import SourceRow, file_name
from core.bodies import Validity
from core.representation.languages import Name, Translations
from segments.imports.assignments import (
    SEGMENT_CUSTOMERS,
    SEGMENT_ITEMS,
    SegmentCustomerRow,
    SegmentItemRow,
    staged_items,
    staged_members,
)
from segments.imports.segments import SEGMENTS, SegmentRow, staged_segment

CAMPAIGNS_IN_A_TURN = 9  # a department is in every ninth campaign, the next department one campaign on


def segment_id(campaign: int) -> str:
    """Return the id of a campaign's segment."""
    return f"campaign-{campaign}"


def load_segments(load: Load, campaigns: Iterable[SourceRow], calendar: Calendar) -> None:
    """Make every campaign a segment, from the start of its first to the end of its last day."""
    rows = [(campaign.row, *staged_segment(segment_of(campaign, calendar))) for campaign in campaigns]
    load.merge("segments", SEGMENTS, rows, file=file_name("campaign_descriptions"))


def segment_of(campaign: SourceRow, calendar: Calendar) -> SegmentRow:
    """Return the segment that a campaign becomes."""
    number, kind = campaign["campaign_id"], campaign["campaign_type"]
    return SegmentRow(
        id=segment_id(number),
        site_code=SITE,
        name=Name(campaign_names(campaign)),
        description=Translations(
            en="The households that a mailing was sent to, and the products of its coupons.",
            de="Die Haushalte, die einen Werbebrief bekamen, und die Produkte seiner Gutscheine.",
        ),
        status="ACTIVE",
        validity=Validity(
            starts_at=calendar.starts(campaign["start_date"]), ends_at=calendar.ends(campaign["end_date"])
        ),
        mixins={"completeJourney": {"campaignId": number, "campaignType": kind}},
    )


def campaign_names(campaign: SourceRow) -> dict[str, str]:
    """Return a campaign's name by language."""
    number, kind = campaign["campaign_id"], campaign["campaign_type"]
    return {"en": f"Campaign {number} ({kind})", "de": f"Kampagne {number} ({kind.replace('Type', 'Typ')})"}


def members_by_campaign(memberships: Iterable[SourceRow]) -> dict[int, frozenset[int]]:
    """Return the households of each campaign."""
    members: dict[int, set[int]] = {}
    for row in memberships:
        members.setdefault(row["campaign_id"], set()).add(row["household_id"])
    return {campaign: frozenset(households) for campaign, households in members.items()}


def load_memberships(
    load: Load, memberships: Sequence[SourceRow], contacts: Mapping[str, Sequence[int]]
) -> None:
    """Assign the households to their campaigns; and, at work, to those of their companies."""
    private = [(row.row, *member(row["campaign_id"], row["household_id"])) for row in memberships]
    load.merge("B2C memberships", SEGMENT_CUSTOMERS, private, file=file_name("campaigns"))
    at_work = [
        member(campaign, household, company.external_id)
        for company in COMPANIES
        for campaign in company.campaigns
        for household in contacts[company.external_id]
    ]
    load.merge("B2B memberships", SEGMENT_CUSTOMERS, numbered(at_work))


def load_items(
    load: Load,
    coupons: Sequence[SourceRow],
    products: Iterable[SourceRow],
    ids: Mapping[Path, str],
    campaigns: Sequence[int],
) -> None:
    """Assign the products of each campaign's coupons, and half of the departments, to the segments."""
    rows = [(row.row, *item(row["campaign_id"], "PRODUCT", str(row["product_id"]))) for row in coupons]
    load.merge("segment products", SEGMENT_ITEMS, rows, file=file_name("coupons"))
    assigned = [
        item(campaign, "CATEGORY", ids[(department,)], includes=includes)
        for campaign, department, includes in assigned_departments(products, campaigns)
    ]
    load.merge("segment categories", SEGMENT_ITEMS, numbered(assigned))


def member(campaign: int, household: int, company: str | None = None) -> Sequence[object]:
    """Return the staged membership of a household in a campaign's segment."""
    row = SegmentCustomerRow(
        segment_id=segment_id(campaign), customer_id=str(household), legal_entity_id=company
    )
    [(_, *values)] = staged_members([row], [None])
    return values


def item(
    campaign: int, item_type: Literal["PRODUCT", "CATEGORY"], item_id: str, *, includes: bool = False
) -> Sequence[object]:
    """Return the staged assignment of an item to a campaign's segment."""
    row = SegmentItemRow(
        segment_id=segment_id(campaign), type=item_type, id=item_id, includes_subcategories=includes
    )
    [(_, *values)] = staged_items([row], [None])
    return values


def assigned_departments(
    products: Iterable[SourceRow], campaigns: Sequence[int]
) -> Iterator[tuple[int, str, bool]]:
    """Yield campaign, department, and whether its subcategories are included.

    Every second department by the number of its products (then by name) is assigned, 16 of 32: the n-th of
    them to the campaigns whose number plus n is a multiple of nine, with all below it when n is even.
    """
    sizes = Counter(product["department"] for product in products)
    ordered = sorted(sizes, key=lambda department: (-sizes[department], department))
    for number, department in enumerate(ordered[::2]):
        for campaign in campaigns:
            if (campaign + number) % CAMPAIGNS_IN_A_TURN == 0:
                yield campaign, department, number % 2 == 0
