"""The OpenAPI document: every example fits its schema, every operation says what it refuses."""

from typing import Any

import jsonschema
import pytest

from fleet_api.app import create_app
from fleet_api.settings import Settings

DOCUMENT = create_app(Settings()).openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
_OURS = [name for name in SCHEMAS if name not in ("HTTPValidationError", "ValidationError")]


def validate(instance: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(instance)


def example_of(schema: dict[str, Any]) -> Any:  # noqa: PLR0911 - one a kind of schema
    """Build a value from the examples, as a reader of the document would."""
    if "$ref" in schema:
        return example_of(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "examples" in schema:
        return schema["examples"][0]
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0])
    if schema.get("type") == "array":
        return [example_of(schema["items"])]
    if schema.get("type") == "object" and "properties" in schema:
        return {name: example_of(field) for name, field in schema["properties"].items()}
    if schema.get("type") == "object" and "additionalProperties" in schema:
        return {"smoke": example_of(schema["additionalProperties"])}
    raise AssertionError(f"no example: {schema}")


@pytest.mark.parametrize("name", _OURS)
def test_every_schema_has_examples_that_fit_it(name):
    validate(example_of(SCHEMAS[name]), SCHEMAS[name])


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{m} {p}" for m, p, _ in OPERATIONS]
)
def test_every_operation_is_described(method, path, operation):
    assert operation["tags"]
    assert operation["summary"]
    assert operation["description"].endswith(".")
    for parameter in operation.get("parameters", []):
        for example in parameter["schema"].get("examples", []):
            validate(example, parameter["schema"])
    responses = operation["responses"]
    if path.startswith("/api"):
        assert "422" in responses
        assert (method, path) == ("POST", "/api/v1/session") or "401" in responses
    for status, response in responses.items():
        if int(status) >= 400 and path.startswith("/api"):
            content = response["content"]["application/json"]
            assert content["schema"]["$ref"].endswith("/ErrorBody"), status
            validate(content["example"], SCHEMAS["ErrorBody"])
        for media, content in response.get("content", {}).items():
            assert media
            if "example" in content:
                validate(content["example"], content["schema"])


def test_what_is_refused_by_role_says_so():
    for method, path, operation in OPERATIONS:
        if method == "POST" and ("/cases/" in path or "/devices/" in path):
            assert {"401", "403", "404", "409"} <= operation["responses"].keys(), path


def test_nothing_of_another_shape_is_documented():
    assert "HTTPValidationError" not in str(DOCUMENT["paths"])


def test_the_document_is_the_same_every_time():
    assert create_app(Settings()).openapi() == DOCUMENT
