import re
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()
    yield
    cache.clear()


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
