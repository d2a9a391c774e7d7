"""/v1/documents: what is indexed, and how it gets in and out."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, ValidationError

from api.doors import ingesting
from api.http import uploads
from api.http.access.caller import caller_of
from api.http.problems import UNREADABLE
from api.http.service import Service, ServiceDep, json_response, problem_docs
from api.jobs import kept_files
from api.jobs.assignment import Assignment
from api.models.documents import DocumentsOut, DocumentTextOut, ForgetOut, JobOut
from api.models.inputs import DocumentsIn, check_collection
from api.routes.jobs import TAKERS_OF_JOBS, accepted
from api.setting_groups.group import ANY_COLLECTION_PATTERN
from rag.errors import RagError

router = APIRouter(tags=["documents"])
CollectionQuery = Annotated[
    str | None,
    AfterValidator(lambda name: name if name is None else check_collection(name)),
    Query(
        description="Unset: the default collection.",
        json_schema_extra={"pattern": ANY_COLLECTION_PATTERN},
    ),
]
ListedCollectionQuery = Annotated[str | None, Query(description="Unset: all collections.")]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{DocumentsIn.__name__}"}
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {
                                "type": "string",
                                "contentMediaType": "application/octet-stream",
                            },
                        },
                        "collection": {"type": "string", "pattern": ANY_COLLECTION_PATTERN},
                    },
                }
            },
        },
    }
}


@router.post(
    "/v1/documents",
    response_model=JobOut,
    status_code=202,
    responses=problem_docs(401, 415, 422, 429) | {202: TAKERS_OF_JOBS},
    openapi_extra=_BODY,
)
async def ingest_documents(request: Request, service: ServiceDep) -> Response:
    """Ingest texts, files or URLs in the background; the job says how it is getting on."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        job = await _submit_uploads(request, service)
    elif media_type == "application/json":
        job = await _submit(await _read_body(request), request, service)
    else:
        raise HTTPException(
            415,
            f"the content type is {media_type[:100]!r}: "
            "send application/json, or files as multipart/form-data",
        )
    return accepted(job.shown_to(caller_of(request).reach))


@router.get("/v1/documents", response_model=DocumentsOut, responses=problem_docs(401, 404, 429))
async def list_documents(
    request: Request, service: ServiceDep, collection: ListedCollectionQuery = None
) -> Response:
    """The documents of one collection, or of all."""
    reach = caller_of(request).reach
    documents = await ingesting.list_documents(service.application, collection, reach)
    return json_response(DocumentsOut(documents=documents))


@router.get(
    "/v1/documents/{document_id:path}",
    response_model=DocumentTextOut,
    responses=problem_docs(401, 404, 422, 429),
)
async def get_document(
    document_id: str, request: Request, service: ServiceDep, collection: CollectionQuery = None
) -> Response:
    """One document, with its text and the places where it was found."""
    caller = caller_of(request)
    inside = _inside(collection, request, service)
    manifest = service.application.manifest
    shown = DocumentTextOut.of(await asyncio.to_thread(manifest.document, inside, document_id))
    shown = shown.model_copy(update={"collection": caller.reach.shown(inside)})
    return json_response(shown.for_visitors() if caller.is_visitor else shown)


@router.delete(
    "/v1/documents/{document_id:path}",
    response_model=ForgetOut,
    responses=problem_docs(401, 404, 422, 429),
)
async def forget_document(
    document_id: str, request: Request, service: ServiceDep, collection: CollectionQuery = None
) -> Response:
    """Delete a document everywhere, with proof: what was there before, and what is after."""
    inside = _inside(collection, request, service)
    actor = caller_of(request).actor
    reports = await ingesting.forget_documents(service.application, inside, [document_id], actor)
    return json_response(ForgetOut.of(reports[0]))


def _inside(collection: str | None, request: Request, service: Service) -> str:
    """What the collection that a caller names is called inside. Raises AccessError."""
    caller = caller_of(request)
    usual = caller.default_collection(service.application.settings.collection)
    return caller.reach.inside(collection or usual)


async def _submit(asked: DocumentsIn, request: Request, service: Service) -> JobOut:
    if asked.paths is not None:
        _check_token(request, service)
    collection = _inside(asked.collection, request, service)
    actor = caller_of(request).actor
    return await service.jobs.submit(
        await asyncio.to_thread(ingesting.assignment_of, asked, collection, actor)
    )


async def _submit_uploads(request: Request, service: Service) -> JobOut:
    settings = service.application.settings
    async with uploads.read_form(request) as form:
        collection = _inside(form.collection, request, service)
        folder = await uploads.keep(form.files, settings.data_dir / kept_files.FOLDER)
    assignment = Assignment(
        collection=collection,
        folder=folder.name,
        files=tuple(sorted(path.name for path in folder.iterdir())),
    )
    try:
        return await service.jobs.submit(assignment)
    except RagError:
        await asyncio.to_thread(kept_files.keep_only, folder, ())
        raise


async def _read_body(request: Request) -> DocumentsIn:
    """The body, with the errors that FastAPI itself would give."""
    try:
        body = json.loads(await request.body())
    except json.JSONDecodeError as error:
        raise RequestValidationError(
            [{"type": "json_invalid", "loc": ("body",), "msg": "", "ctx": {"error": error.msg}}]
        ) from None
    except (ValueError, RecursionError):
        raise HTTPException(400, UNREADABLE) from None
    try:
        return DocumentsIn.model_validate(body)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from None


def _check_token(request: Request, service: Service) -> None:
    given = request.headers.get("authorization", "").encode()
    if service.token is None or not secrets.compare_digest(
        given, f"Bearer {service.token}".encode()
    ):
        raise HTTPException(
            401,
            "paths are for the command line on the service's own machine: send the files instead",
            {"WWW-Authenticate": "Bearer"},
        )
