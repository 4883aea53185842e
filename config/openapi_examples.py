"""Examples of the OpenAPI document: requests to the demo shop and what it answered.

`tests/config/demo/test_examples.py` writes `openapi_examples.json` and checks it against the demo shop.
"""

import json
from functools import cache
from pathlib import Path

from core.json_types import JsonObject

FILE = Path(__file__).with_suffix(".json")


@cache
def recorded_examples() -> JsonObject:
    """Return what was sent and answered, by the id of the operation."""
    examples: JsonObject = json.loads(FILE.read_text())
    return examples


def add_examples(result: JsonObject, generator: object, **options: object) -> dict[str, object]:
    """Add the examples to arguments, bodies and responses (a postprocessing hook of drf-spectacular)."""
    for methods in result["paths"].values():
        for operation in methods.values():
            if example := recorded_examples().get(operation["operationId"]):
                add_example(operation, example)
    return result


def add_example(operation: JsonObject, example: JsonObject) -> None:
    for parameter in operation.get("parameters", []):
        values = example["arguments"] if parameter["in"] == "path" else example["query"]
        if parameter["in"] in ("path", "query") and parameter["name"] in values:
            parameter["example"] = values[parameter["name"]]
    if "request" in example:
        for media_type, content in operation["requestBody"]["content"].items():
            if media_type == example.get("mediaType", media_type):
                content["example"] = example["request"]
    if "response" in example:
        for content in operation["responses"][example["status"]]["content"].values():
            content["example"] = example["response"]
