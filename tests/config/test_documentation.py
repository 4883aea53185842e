import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.test import Client, RequestFactory

from config import openapi_document


def test_the_description_of_the_api_is_json():
    answer = Client().get("/openapi.json")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/")
    document = answer.json()
    assert document["openapi"].startswith("3.")
    assert document["components"]["securitySchemes"]["OAuth2"]["type"] == "oauth2"
    bulk = document["paths"]["/customer-segment/{tenant}/segments/bulk"]["put"]
    assert bulk["operationId"] == "PUT-customer-segment-update-segments-bulk"
    assert bulk["security"] == [{"OAuth2": ["customersegment.segment_manage"]}, {"AccessToken": []}]
    assert bulk["responses"]["207"]["content"]["application/json"]["schema"]["type"] == "array"


def test_the_description_is_made_once_whoever_asks_for_it_at_the_same_time(monkeypatch):
    """The generator cannot bear two threads at a time, and strangers may ask with any parameters."""
    made = []

    class Generator:
        def get_schema(self, **named):
            made.append(named)
            return {"openapi": "3.0.3"}

    monkeypatch.setattr(openapi_document, "SchemaGenerator", Generator)
    openapi_document._document.cache_clear()
    try:
        requests = [RequestFactory().get(f"/openapi.json?lang={number}") for number in range(8)]
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(openapi_document.openapi_document, requests))
    finally:
        openapi_document._document.cache_clear()
    assert [b"3.0.3" in answer.content for answer in answers] == [True] * 8
    assert len(made) == 1
    assert Client().post("/openapi.json").status_code == 405


def test_the_browsable_page_shows_it_without_other_servers():
    page = Client().get("/docs").content.decode()
    assert "/openapi.json" in Client().get("/docs?script=").content.decode()
    assert "http://" not in page
    assert "https://" not in page


def test_each_task_of_the_handbook_is_five_sentences():
    text = (Path(__file__).resolve().parents[2] / "docs" / "merchandisers.md").read_text()
    tasks = text.partition("## Twelve tasks")[2].partition("\n## ")[0].split("\n### ")[1:]
    assert len(tasks) == 12
    for task in tasks:
        title, _, said = task.partition("\n")
        said = " ".join(re.sub(r"!\[.*?\]\(.*?\)", "", said).split())
        assert len(re.findall(r"[.?!](?= [A-Z*“]|$)", said)) == 5, title
