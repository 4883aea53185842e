"""What is exported is imported without a change, whatever the texts hold."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.core.imports.conftest import run_command
from tests.core.imports.test_all_kinds import KINDS, MODELS
from tests.factories.accounts import CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

ESCAPES = st.sampled_from(["\\u0000", "\\\\u0000", "\\ud800", "\\n"])  # texts of so many characters
HOSTILE = ESCAPES | st.text(alphabet="a|,;\"'\r\n\t =+-@[]{}\\\u00e9\U0001f600\ufeff\u2028", max_size=12)
TEXTS = HOSTILE.map(lambda text: f"x{text}x")
TRANSLATIONS = st.fixed_dictionaries({"en": TEXTS}, optional={"de": TEXTS | st.just("")})
INSTANTS = st.integers(1_577_836_800_000_000, 1_735_689_600_000_000).map(
    lambda moment: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=moment)
)
WINDOWS = st.tuples(
    st.none() | INSTANTS, st.none() | INSTANTS.map(lambda moment: moment.replace(year=2030, day=1))
)
NUMBERS = st.sampled_from([0, -1, 1.5, 1e-7, 1e300, 0.1 + 0.2, 2**53 + 1, 2**63, -(2**63), 2.0**64, 1e30])
LEAVES = st.none() | st.booleans() | NUMBERS | HOSTILE
DOCUMENTS = st.dictionaries(
    TEXTS, LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(HOSTILE, LEAVES, max_size=2), max_size=2
)
SCHEMAS = st.dictionaries(st.just("look"), st.just("https://example.com/look.json"))
LISTS = st.lists(TEXTS, max_size=3, unique=True)


@st.composite
def shops(draw):
    """The values of one row of each kind."""
    windows = [dict(zip(("valid_from", "valid_to"), draw(WINDOWS), strict=True)) for _ in range(5)]
    return {
        "windows": windows,
        "texts": [draw(TEXTS) for _ in range(6)],
        "names": [draw(TRANSLATIONS) for _ in range(4)],
        "lists": [draw(LISTS) for _ in range(3)],
        "mixins": draw(st.none() | DOCUMENTS),
        "schemas": draw(st.none() | SCHEMAS),
        "minimum": draw(st.sampled_from([None, Decimal("0.5"), Decimal(0)])),
    }


def make_shop(tenant, site, values) -> None:
    texts, names, windows = values["texts"], values["names"], values["windows"]
    mixins = {"mixins": values["mixins"], "mixin_schemas": values["schemas"]}
    customer = CustomerFactory(
        tenant=tenant, external_id="c", first_name=texts[0], company=texts[1], **mixins
    )
    LegalEntityFactory(
        tenant=tenant,
        external_id="l",
        name=texts[2],
        restrictions=values["lists"][0][:1],
        legal_info={"legalName": texts[3]},
        **mixins,
    )
    product = ProductFactory(tenant=tenant, external_id="p", name=names[0], description=names[1], **mixins)
    category = CategoryFactory(
        tenant=tenant, external_id="k", name=names[2], description=names[1], **windows[0], **mixins
    )
    CategoryAssignmentFactory(tenant=tenant, category=category, product=product)
    segment = SegmentFactory(
        site=site, external_id="s", name=names[3], description=names[1], **windows[1], **mixins
    )
    CustomerAssignmentFactory(segment=segment, customer=customer, **windows[2], **mixins)
    ItemAssignmentFactory(segment=segment, product=product, **windows[3], **mixins)
    CouponFactory(
        tenant=tenant,
        code="C",
        name=texts[4],
        description=texts[5],
        min_order_amount=values["minimum"],
        min_order_currency=None if values["minimum"] is None else "EUR",
        is_segment_restricted=False,
        **windows[4],
        **mixins,
    )


@pytest.mark.parametrize("format", ["csv", "jsonl"])
@given(values=shops())
@settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_an_export_is_imported_without_a_change(tenant, site, tmp_path, format, values):
    with transaction.atomic():
        make_shop(tenant, site, values)
        for kind in KINDS:
            path = tmp_path / f"{kind.name}.{format}"
            assert run_command(f"export_{kind.name}", path, "--tenant", "acme").status == 0
            before = list(MODELS[kind.name].objects.order_by("pk").values())
            answer = run_command(f"upsert_{kind.name}", path, "--tenant", "acme", "--json")
            assert answer.counts == {"unchanged": answer.json["rows"]}, (kind.name, answer.text)
            assert list(MODELS[kind.name].objects.order_by("pk").values()) == before
        transaction.set_rollback(True)
