"""The OpenAPI document: what the routes say of themselves, and what holds for all of them.

What stands before the routes refuses too, whatever the route; so a route names only its own.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.http.service import problem_docs
from api.models.inputs import DocumentsIn
from api.models.output import ProblemOut

ANYWHERE = (400, 403, 408, 413, 421, 500, 503)
"""What any request may get: from what stands before the routes, or from what fails under them."""
WITH_BODY = (415, 422)
"""What any request with a body may get besides."""

_BY_NAME: tuple[type[BaseModel], ...] = (ProblemOut, DocumentsIn)
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")


def name_operation(route: APIRoute) -> str:
    """What generated clients call a route: as its function."""
    return route.name


def link_docs(parameter: str, *operations: str) -> dict[str, Any]:
    """The operations, by the names of their functions, that take the `id` of this answer."""
    return {
        "links": {
            operation: {
                "operationId": operation,
                "parameters": {parameter: "$response.body#/id"},
            }
            for operation in operations
        }
    }


def install(app: FastAPI) -> None:
    """Let the document of this application say all of it."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        _add_problems(document)
        _add_models(document["components"]["schemas"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _add_problems(document: dict[str, Any]) -> None:
    operations = [one for path in document["paths"].values() for one in path.values()]
    for operation in operations:
        responses = operation["responses"]
        if "default" in responses:  # a route of another protocol, which has errors of its own
            continue
        more = WITH_BODY if "requestBody" in operation else ()
        for status, docs in problem_docs(*ANYWHERE, *more).items():
            responses.setdefault(str(status), docs)
        if "422" in responses:  # FastAPI gives it another shape
            responses["422"] = problem_docs(422)[422]


def _add_models(schemas: dict[str, Any]) -> None:
    """The models that routes name by reference alone, and not those of FastAPI's own errors."""
    for name in _OF_FASTAPI:
        schemas.pop(name, None)
    for model in _BY_NAME:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
