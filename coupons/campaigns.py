"""How far campaigns are: their codes, made, redeemed, open and over, as SQL and for people."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows


@dataclass(frozen=True, slots=True)
class CampaignState:
    """How many codes there are, how many are redeemed, can still be, and can no more."""

    generated: int
    redeemed: int
    open: int
    over: int


def counts(at: Sql) -> Sql:
    """A SELECT of the four counts of the row `campaign` with its `terms` at that instant."""
    return sql(
        "SELECT count(*) AS generated,"
        " count(*) FILTER (WHERE code.redemption_count > 0) AS redeemed,"
        " count(*) FILTER (WHERE code.redemption_count = 0 AND NOT {is_over}) AS open,"
        " count(*) FILTER (WHERE code.redemption_count = 0 AND {is_over}) AS over"
        " FROM coupons_coupon AS code"
        " WHERE code.tenant_id = campaign.tenant_id AND code.terms_id = campaign.terms_id"
        " AND code.id <> campaign.terms_id",
        is_over=sql("(code.is_deleted OR coalesce(terms.valid_to < {at}, FALSE))", at=at),
    )


def states_of_campaigns(keys: Collection[int], *, at: datetime) -> dict[int, CampaignState]:
    """Return the state of each campaign by its key, in one statement."""
    rows = fetch_rows(
        sql(
            "SELECT campaign.id, counted.* FROM coupons_couponcampaign AS campaign"
            " JOIN coupons_coupon AS terms ON terms.id = campaign.terms_id"
            " CROSS JOIN LATERAL ({counts}) AS counted WHERE campaign.id = ANY({keys})",
            counts=counts(param(at, "timestamptz")),
            keys=param(list(keys), "bigint[]"),
        )
    )
    return {key: CampaignState(*numbers) for key, *numbers in rows}
