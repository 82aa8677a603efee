"""The OpenAPI document is true: generated requests by it get the answers it names, and nothing
else.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.endpoint_process import TOKEN, EndpointProcess


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointProcess]:
    """Its own: what is asked takes movies off."""
    from tests.support import sample_models as models

    process = EndpointProcess(tmp_path_factory.mktemp("contract"))
    for version in (1, 2):
        models.publish_version(process.store, version)
    try:
        process.start().reload(1)
        yield process
    finally:
        process.close()


@pytest.fixture(scope="module")
def document(deployed: EndpointProcess) -> Any:
    import schemathesis  # no other test needs it, and to import it takes a while

    return schemathesis.openapi.from_url(f"{deployed.url}/openapi.json")


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_generated_requests_get_documented_answers(document: Any, mode: str) -> None:
    """Some as the document has them, some that break its rules."""
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis import Case, GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    demands = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    asked = set()
    for operation in (result.ok() for result in document.get_all_operations()):

        @settings(
            max_examples=10,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(operation.as_strategy(generation_mode=GenerationMode(mode)))
        def ask(case: Case) -> None:
            asked.add(case.operation.label)
            case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=demands)

        if mode == "positive" or operation.body or operation.query or operation.path_parameters:
            ask()
    assert len(asked) >= 10


def test_every_example_of_the_document_is_answered(
    deployed: EndpointProcess, document: Any
) -> None:
    """And every field and parameter has one, or is made of such."""
    raw = document.raw_schema
    for example in raw["components"]["schemas"]["RecommendRequest"]["examples"]:
        assert deployed.client.post("/recommend", json=example).status_code == 200
    bare = [
        f"{name}.{field}"
        for name, schema in raw["components"]["schemas"].items()
        for field, about in schema.get("properties", {}).items()
        if "examples" not in about and not {"$ref", "anyOf", "items", "enum", "const"} & set(about)
    ]
    assert bare == []
