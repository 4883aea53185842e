"""Files as six public systems export them load with flags only; docs/bulk-upserts.md shows the commands."""

import re
import shlex
from pathlib import Path

import pytest

from accounts.models import Customer
from catalog.models import Category, Product
from tests.core.imports.conftest import run_command

DOCUMENT = Path(__file__).parents[3] / "docs" / "bulk-upserts.md"
FILES = Path(__file__).parent / "public"


def flags_of(name: str) -> list[str]:
    """Return the arguments of the documented command that imports the file of this name."""
    text = DOCUMENT.read_text().replace("\\\n", " ")
    [command] = re.findall(rf"manage\.py (upsert_\w+ {re.escape(name)} .*)", text)
    return shlex.split(command)


@pytest.fixture
def load(tenant, site):
    def make(name: str):
        command, _, *flags = flags_of(name)
        return run_command(command, FILES / name, *flags, "--json")

    return make


def test_the_google_product_taxonomy(load):
    answer = load("taxonomy-with-ids.en-US.txt")
    assert answer.counts == {"created": 4, "refused": 1}  # Media itself is left out above
    assert answer.json["firstRefusals"][0]["message"] == "There is no category Media."
    found = Category.objects.order_by("external_id").values_list("external_id", "parent__external_id", "name")
    assert list(found) == [
        ("1", "/", {"en": "Animals & Pet Supplies"}),
        ("2", "1", {"en": "Pet Supplies"}),
        ("3", "2", {"en": "Bird Supplies"}),
        ("3237", "1", {"en": "Live Animals"}),
    ]
    assert load("taxonomy-with-ids.en-US.txt").counts == {"unchanged": 4, "refused": 1}


def test_products_of_shopify(load):
    answer = load("products_export.csv")
    assert answer.counts == {"created": 2}
    cup, mug = Product.objects.order_by("external_id")
    assert (cup.external_id, cup.code, cup.name, cup.is_published) == ("cup", "cup", {"en": "Blue Cup"}, True)
    assert cup.description == {"en": "<p>A cup,\nblue</p>"}
    assert (mug.code, mug.is_published) == ("mug", False)


def test_customers_of_shopify(load):
    assert load("customers_export.csv").counts == {"created": 2}
    ann, _ = Customer.objects.order_by("external_id")
    assert (ann.external_id, ann.email, ann.first_name, ann.last_name, ann.company, ann.contact_phone) == (
        "6940095217817",
        "ann@example.com",
        "Ann",
        "Lee",
        "Acme Ltd",
        "+441234567890",
    )


def test_products_of_woocommerce(load):
    assert load("wc-product-export.csv").counts == {"created": 3}
    cup, mug, draft = Product.objects.order_by("external_id")
    assert (cup.external_id, cup.code, cup.name, cup.is_published) == ("101", "CUP", {"en": "Blue Cup"}, True)
    assert (mug.description, mug.is_published) == ({"en": 'A mug, "large"'}, False)
    assert (draft.code, draft.is_published) == ("DRAFT", False)
    Product.objects.filter(pk=draft.pk).update(is_published=True)
    assert load("wc-product-export.csv").counts == {"unchanged": 2, "changed": 1}


def test_customers_of_magento(load):
    assert load("customer_magento.csv").counts == {"created": 2}
    ann, _ = Customer.objects.order_by("external_id")
    assert (ann.external_id, ann.email, ann.title) == ("ann@example.com", "ann@example.com", "Ms")
    assert (ann.first_name, ann.middle_name, ann.last_name, ann.password) == ("Ann", "M.", "Lee", "")


def test_categories_of_prestashop(load):
    assert load("categories_import.csv").counts == {"created": 3}
    found = Category.objects.order_by("external_id").values_list(
        "external_id", "parent__external_id", "is_published"
    )
    assert list(found) == [("3", "/", True), ("4", "/", True), ("5", "4", False)]
    ipods = Category.objects.get(external_id="3")
    assert ipods.description == {"en": "<p>Now that you can, buy; music</p>"}
    assert ipods.slug == {"en": "music-ipods"}
