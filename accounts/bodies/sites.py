"""What clients send about sites."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from accounts.bodies.rows import (
    Currency,
    PlainName,
    ReadText,
    RowBody,
    Text20,
    Text100,
    Text200,
    json_value,
)
from accounts.models import Site
from accounts.representations import SITES
from core.bodies import IS_ID, MESSAGE, Body
from core.errors import InvalidInput
from core.json_types import JsonObject
from core.tenancy.documents import Document
from core.timestamps import time_zone_names

Text2000 = Annotated[str, Meta(max_length=2_000)]
FreeObjects = Annotated[list[JsonObject], Meta(max_length=100)]
Language = Annotated[
    str, Meta(pattern=r"^[a-z]{2}$(?!\n)", extra={MESSAGE: "must be two lower-case letters, such as en"})
]
Country = Annotated[
    str, Meta(pattern=r"^[A-Z]{2}$(?!\n)", extra={MESSAGE: "must be two capital letters, such as DE"})
]
SiteCode = Annotated[
    str,
    Meta(
        pattern=r"^(?!\.{1,2}$)[^\s#/]+$(?!\n)",
        max_length=128,
        extra={
            MESSAGE: "must be 1 to 128 characters without blanks, # and /, and not . or ..",
            IS_ID: True,
        },
    ),
]


class SiteName(PlainName):
    max_length = 200


class TimeZone(ReadText):
    """The name of an IANA time zone."""

    max_length = 64

    @classmethod
    def check(cls, value: str, *, field: str) -> str:
        if value not in time_zone_names():
            raise InvalidInput(f"{field} must be an IANA time zone such as Europe/Berlin.", field=field)
        return value


class SiteAddress(Body):
    """The postal address of a site's home base."""

    country: Annotated[Country, Meta(description="The country (ISO 3166-1).")]
    zip_code: Annotated[Text20, Meta(description="The postal code.")]
    street: Annotated[Text200 | None, Meta(description="The street.")] = None
    street_number: Annotated[
        Annotated[str, Meta(max_length=50)] | None, Meta(description="The number of the house.")
    ] = None
    street_appendix: Annotated[Text200 | None, Meta(description="What follows the number.")] = None
    extra_line1: Annotated[Text200 | None, Meta(description="Another line.")] = None
    extra_line2: Annotated[Text200 | None, Meta(description="Another line.")] = None
    extra_line3: Annotated[Text200 | None, Meta(description="Another line.")] = None
    extra_line4: Annotated[Text200 | None, Meta(description="Another line.")] = None
    city: Annotated[Text200 | None, Meta(description="The town.")] = None
    state: Annotated[Text100 | None, Meta(description="The state or province.")] = None


class Location(Body):
    """A point on earth, in degrees."""

    latitude: Annotated[Annotated[float, Meta(ge=-90, le=90)] | None, Meta(description="In degrees.")] = None
    longitude: Annotated[Annotated[float, Meta(ge=-180, le=180)] | None, Meta(description="In degrees.")] = (
        None
    )


class HomeBase(Body):
    """Where a site is at home."""

    address: Annotated[SiteAddress, Meta(description="The postal address.")]
    location: Annotated[Location | None, Meta(description="The place on the map.")] = None
    timezone: Annotated[TimeZone | None, Meta(description="The IANA time zone, such as Europe/Berlin.")] = (
        None
    )


class AssistedBuying(Body):
    """Where staff buys for customers."""

    storefront_url: Annotated[Text2000 | None, Meta(description="The address of the storefront.")] = None


class PatchedSite(RowBody, kw_only=True):
    """A site after a patch. One that was made without a home base may still have none."""

    model = Site
    apart = frozenset({"code"})
    settings: ClassVar[tuple[str, ...]] = (
        "shipping",
        "payment",
        "tax",
        "assisted_buying",
        "cart_calculation_scale",
    )

    code: SiteCode | None = None
    name: SiteName
    is_active: bool | None = msgspec.field(name="active", default=None)
    is_default: bool | None = msgspec.field(name="default", default=None)
    includes_tax: bool | None = None
    default_language: Language
    languages: Annotated[list[Language], Meta(min_length=1, max_length=100)]
    currency: Currency
    available_currencies: Annotated[list[Currency], Meta(max_length=200)] | None = None
    home_base: HomeBase | None = None
    ship_to_countries: Annotated[list[Country], Meta(max_length=300)]
    tax_determination_based_on: Literal["BILLING_ADDRESS", "SHIPPING_ADDRESS"] | None = None
    shipping: FreeObjects | None = None
    payment: FreeObjects | None = None
    tax: FreeObjects | None = None
    assisted_buying: AssistedBuying | None = None
    cart_calculation_scale: Annotated[int, Meta(ge=0, le=20)] | None = None

    def values(self) -> JsonObject:
        names = dict(zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True))
        given = {names[name]: json_value(getattr(self, name)) for name in self.settings}
        settings = {name: value for name, value in given.items() if value is not None}
        return {**super().values(), "settings": settings}

    @classmethod
    def document(cls, row: Document) -> JsonObject:
        found = super().document(row)
        home_base, settings = row.home_base, row.settings  # type: ignore[attr-defined]
        if not home_base:
            del found["homeBase"]
        return {**found, "code": row.code, **settings}  # type: ignore[attr-defined]


class SiteBody(PatchedSite, kw_only=True):
    """A shop front. `code` may be left out: the address has it."""

    documented = SITES.documented

    home_base: HomeBase


class SiteCreation(SiteBody, kw_only=True):
    """A new site, which names its code."""

    code: Annotated[SiteCode, Meta(description="The site's code.")]
