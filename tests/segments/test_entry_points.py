"""Rules that hold by every entry point of segments: the API, its patches, files and the admin's form."""

from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import Site
from core.json_types import JsonObject
from segments.api.urls import urlpatterns
from segments.bodies import RESERVED_IDS
from segments.models import Segment
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import ProductFactory
from tests.factories.segments import SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
NAMELESS = [{}, "", " ", {"en": ""}, {"en": " \t"}, {"en": "\u200b", "de": "\u00ad"}]


def upsert(path: Path) -> dict[str, Any]:
    """Import the file of segments and return the report."""
    out = StringIO()
    with suppress(CommandError, SystemExit):  # refused rows make the exit status 1; the report says why
        call_command("upsert_segments", str(path), "--tenant", "acme", "--json", stdout=out)
    return orjson.loads(out.getvalue())


def test_the_reserved_ids_are_the_fixed_words_in_the_place_of_a_segments_id() -> None:
    paths = [str(pattern.pattern).split("/") for pattern in urlpatterns]
    places = {
        tuple(path[:index]) for path in paths for index, part in enumerate(path) if part == "<segment_id>"
    }
    words = {
        path[len(place)]
        for place in places
        for path in paths
        if len(path) > len(place) and tuple(path[: len(place)]) == place
    }

    assert {*words, ".", ".."} == {*RESERVED_IDS, "<segment_id>"}


@pytest.mark.parametrize("segment_id", RESERVED_IDS)
def test_reserved_ids_are_refused_by_the_api(manager: Api, segment_id: str) -> None:
    body = {"id": segment_id, "name": "x", "siteCode": "main"}
    created = manager.post(SEGMENTS, body)

    assert created.status_code == 400
    assert created.json()["details"]["field"] == "id"
    assert "none of the words that addresses of this service use" in created.json()["message"]
    for method in (manager.post, manager.put):
        [entry] = method(f"{SEGMENTS}/bulk", [body]).json()
        assert (entry["code"], entry["message"]) == (400, created.json()["message"])
    assert not Segment.objects.exists()


def test_a_path_that_is_no_id_is_refused(manager: Api) -> None:
    for segment_id in ("a b", "%2E"):
        answer = manager.put(f"{SEGMENTS}/{segment_id}", {"name": "x", "siteCode": "main"})
        assert (answer.status_code, answer.json()["details"]["field"]) == (400, "id")


@pytest.mark.parametrize("segment_id", RESERVED_IDS)
def test_reserved_ids_are_refused_in_files(site: Site, tmp_path: Path, segment_id: str) -> None:
    csv, lines = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    csv.write_text(f"id,siteCode,name.en\n{segment_id},main,x\nitems2,main,x\n")
    lines.write_bytes(orjson.dumps({"id": segment_id, "siteCode": "main", "name": "x"}) + b"\n")

    assert upsert(csv)["refusedByReason"] == {"validation_violation": 1}
    assert upsert(lines)["refusedByReason"] == {"validation_violation": 1}
    assert [segment.external_id for segment in Segment.objects.all()] == ["items2"]


@pytest.mark.parametrize("segment_id", RESERVED_IDS)
def test_reserved_ids_are_refused_in_the_form(staff_browser: Client, site: Site, segment_id: str) -> None:
    values = {"external_id": segment_id, "site": site.pk, "name_en": "x", "status": "ACTIVE"}
    page = staff_browser.post(reverse("admin:segments_segment_add"), values)

    [message] = page.context["adminform"].form.errors["external_id"]
    assert "reserved: addresses use it for something else" in message
    assert not Segment.objects.exists()


@pytest.mark.parametrize("name", NAMELESS, ids=repr)
def test_a_segment_without_a_visible_name_is_refused_by_the_api(
    manager: Api, site: Site, name: object
) -> None:
    gold = SegmentFactory(site=site, external_id="gold", name={"en": "Gold", "de": "Gold"})
    whole = {"name": name, "siteCode": "main"}
    answers = [
        manager.post(SEGMENTS, whole),
        manager.put(f"{SEGMENTS}/gold", whole),
        manager.patch(f"{SEGMENTS}/gold", [{"op": "replace", "path": "/name", "value": name}]),
    ]
    if not isinstance(name, dict):
        answers.append(manager.patch(f"{SEGMENTS}/gold", {"name": name}))

    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["message"] == "name needs a text in at least one language."
    for method in (manager.post, manager.put):
        [entry] = method(f"{SEGMENTS}/bulk", [{"id": "gold", **whole}]).json()
        assert (entry["code"], entry["message"]) == (400, "name needs a text in at least one language.")
    gold.refresh_from_db()
    assert (gold.version, Segment.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "patch",
    [
        {"name": {"en": None, "de": None}},
        {"name": {"en": None, "de": " "}},
        [{"op": "remove", "path": "/name/en"}, {"op": "remove", "path": "/name/de"}],
    ],
    ids=repr,
)
def test_a_patch_may_not_take_every_name(manager: Api, site: Site, patch: object) -> None:
    gold = SegmentFactory(site=site, external_id="gold", name={"en": "Gold", "de": "Gold"})

    assert manager.patch(f"{SEGMENTS}/gold", patch).status_code == 400
    gold.refresh_from_db()
    assert gold.name == {"en": "Gold", "de": "Gold"}


def test_files_may_not_take_every_name(site: Site, tmp_path: Path) -> None:
    gold = SegmentFactory(site=site, external_id="gold", name={"en": "Gold", "de": "\u200b"})
    csv, lines = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    csv.write_text("id,siteCode,name.en\ngold,main,\nnew,main,\u200b\n")
    bodies = [{"id": "gold", "name": name} for name in [*NAMELESS, None, {"en": None}]]
    lines.write_bytes(b"".join(orjson.dumps(body) + b"\n" for body in bodies))

    assert upsert(csv)["refused"] == 2
    assert upsert(lines)["refused"] == len(bodies)
    gold.refresh_from_db()
    assert (gold.name, Segment.objects.count()) == ({"en": "Gold", "de": "\u200b"}, 1)


def test_the_form_needs_a_visible_name(staff_browser: Client, site: Site) -> None:
    values = {"site": site.pk, "name_en": "\u200b ", "name_de": "", "status": "ACTIVE"}
    page = staff_browser.post(reverse("admin:segments_segment_add"), values)

    assert page.context["adminform"].form.errors["name"] == ["This field is required."]
    assert not Segment.objects.exists()


def test_every_fault_of_a_segment_is_named(manager: Api) -> None:
    answer = manager.post(
        SEGMENTS, {"id": "items", "status": "ON", "validity": {"from": "tomorrow"}, "mixins": 5}
    )

    assert answer.status_code == 400
    for message in (
        "siteCode is missing.",
        "name is missing.",
        "id must be 1 to 128 characters",
        "status must be ACTIVE or INACTIVE.",
        "validity.from must be an ISO 8601 time",
        "mixins must be an object.",
    ):
        assert message in answer.json()["message"]


@pytest.mark.parametrize("mixins", [{}, {"look": {}}, None], ids=repr)
def test_mixins_read_as_they_were_sent(
    manager: Api, site: Site, staff_browser: Client, tmp_path: Path, mixins: object
) -> None:
    shown = {} if mixins is None else {"mixins": mixins}
    body = {"name": "x", "siteCode": "main", **({} if mixins is None else {"mixins": mixins})}
    # a batch of mixins of each kind, which is written in another way than equal ones
    batch = [
        {"id": "a", **body},
        {"id": "b", **body, "mixins": {"rank": 1}},
        {"id": "c", **body, "mixins": None},
    ]
    assert [entry["code"] for entry in manager.put(f"{SEGMENTS}/bulk", batch).json()] == [201] * 3
    assert manager.post(SEGMENTS, {"id": "d", **body}).status_code == 201
    assert manager.put(f"{SEGMENTS}/e", body).status_code == 201
    lines = tmp_path / "rows.jsonl"
    lines.write_bytes(orjson.dumps({"id": "f", **body}) + b"\n")
    assert upsert(lines)["created"] == 1

    def read() -> JsonObject:
        return {
            segment["id"]: {"mixins": segment["mixins"]} if "mixins" in segment else {}
            for segment in manager.get(SEGMENTS).json()
        }

    expected = {**dict.fromkeys("adef", shown), "b": {"mixins": {"rank": 1}}, "c": {}}
    assert read() == expected
    assert manager.patch(f"{SEGMENTS}/d", {"status": "ACTIVE"}).status_code == 204
    segment = Segment.objects.get(external_id="e")
    page = reverse("admin:segments_segment_change", args=[segment.pk])
    form = staff_browser.get(page).context["adminform"].form
    values = {name: form[name].value() for name in ("site", "status", "expected_version")}
    texts = {name: form[name].value() for name in ("mixins", "mixin_schemas")}
    texts = {name: form.fields[name].prepare_value(value) for name, value in texts.items()}
    assert staff_browser.post(page, {**values, **texts, "name_en": "Renamed"}).status_code == 302
    assert read() == expected
    segment.refresh_from_db()
    assert (segment.name["en"], segment.version) == ("Renamed", 2)


@pytest.mark.parametrize("path", ["customers/C1", "items/PRODUCT/P1"])
def test_mixins_of_assignments_read_as_they_were_sent(manager: Api, site: Site, path: str) -> None:
    SegmentFactory(site=site, external_id="gold")
    CustomerFactory(tenant=site.tenant, external_id="C1")
    ProductFactory(tenant=site.tenant, external_id="P1")
    address = f"{SEGMENTS}/gold/{path}"
    for body, shown in (({}, None), ({"mixins": {}}, {}), ({"mixins": None}, None)):
        assert manager.put(address, body).status_code in (201, 204)
        assert manager.get(address).json().get("mixins") == shown
