"""What carts read: the coupons of several codes, in one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.sql.composition import Sql, bind, sql
from core.sql.fetching import fetch_rows
from coupons.eligibility_queries import (
    SNAPSHOT,
    CouponSnapshot,
    normalise_code,
    read_terms,
    snapshot_of,
    under_terms,
)
from coupons.models.settings import MOST_COUPONS_PER_CART


@dataclass(frozen=True, slots=True)
class CouponsOfCart:
    """The coupons of the codes given, in their order and each once; None for a code that no coupon has.

    `others` are those that were asked for besides. `most` is how many of them one cart takes.
    """

    by_code: Mapping[str, CouponSnapshot | None]
    most: int = MOST_COUPONS_PER_CART
    others: Sequence[CouponSnapshot] = ()

    @property
    def found(self) -> list[CouponSnapshot]:
        return [*(coupon for coupon in self.by_code.values() if coupon is not None), *self.others]


def read_coupons(
    tenant_id: int, codes: Sequence[str], *, also: Sequence[str] = (), lock: bool = False
) -> CouponsOfCart:
    """Return the tenant's coupons of these codes, deleted ones too, in one statement.

    `also` are further codes, as they are stored. With `lock` they are locked until commit, in the order of
    their keys; the terms of campaigns then take another statement.
    """
    as_written, folded = (
        [*(normalise_code(code, case_sensitive=case_sensitive) for code in codes), *also]
        for case_sensitive in (True, False)
    )
    named = bind(
        "named.tenant_id = {tenant} AND named.terms_id IS DISTINCT FROM named.id AND named.code ="
        " ANY(CASE WHEN (SELECT codes_are_case_sensitive FROM coupons_couponsettings"
        " WHERE tenant_id = {tenant}) THEN {as_written:text[]} ELSE {folded:text[]} END)",
        tenant=tenant_id,
        as_written=as_written,
        folded=folded,
    )
    rows = fetch_rows(
        sql(
            "SELECT {snapshot}, settings.codes_are_case_sensitive, settings.max_coupons_per_cart"
            " FROM coupons_coupon AS coupon"
            " LEFT JOIN coupons_couponsettings AS settings ON settings.tenant_id = coupon.tenant_id"
            " WHERE coupon.id IN (SELECT {keys} FROM coupons_coupon AS named WHERE {named})"
            " ORDER BY coupon.id{locking}",
            snapshot=SNAPSHOT,
            named=named,
            keys=Sql("named.id" if lock else "unnest(ARRAY[named.id, named.terms_id])"),
            locking=Sql(" FOR UPDATE OF coupon" if lock else ""),
        ),
        prepared=True,
    )
    *_, case_sensitive, most = rows[0] if rows else (False, None)
    found = [snapshot_of(row[:-2]) for row in rows]
    terms = read_terms(found) if lock else {coupon.id: coupon for coupon in found}
    coupons = {
        coupon.code: coupon if coupon.terms_id is None else under_terms(coupon, terms[coupon.terms_id])
        for coupon in found
        if coupon.terms_id != coupon.id
    }
    names = (as_written if case_sensitive else folded)[: len(codes)]
    by_code = {name: coupons.get(name) for name in names}
    others = [coupons[code] for code in also if code in coupons and code not in by_code]
    return CouponsOfCart(by_code, most or MOST_COUPONS_PER_CART, others)
