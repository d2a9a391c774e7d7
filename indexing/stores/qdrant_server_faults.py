"""What a Qdrant server or the way to it can do wrong, as errors of ours."""

from __future__ import annotations

import json
from http import HTTPStatus

import httpx
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from rag.errors import RagError, StoreError, StoreUnavailableError

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_MENDS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "set RAG_STORE__API_KEY to its key",
    HTTPStatus.FORBIDDEN: "set RAG_STORE__API_KEY to a key that may read and write",
    HTTPStatus.NOT_FOUND: "correct RAG_STORE__URL and RAG_STORE__NAME",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "raise its service.max_request_size_mb",
}
_SERVER_FAULTS = 500
_LONGEST_REASON = 200


def store_error(error: Exception, address: str, timeout_s: int) -> RagError:
    """The error of ours that says what went wrong at `address`, and how to mend it.

    A StoreUnavailableError where the same call may succeed later.
    """
    match error:
        case RagError():
            return error
        case UnexpectedResponse():
            return _refused(error, address)
        case ResourceExhaustedResponse():
            return StoreUnavailableError(
                f"Qdrant at {address} asks for fewer calls ({_line(error)}): wait, or raise its "
                "limits",
                retry_after_s=error.retry_after_s,
            )
        case ResponseHandlingException():
            return _unanswered(error.source, address, timeout_s)
        case json.JSONDecodeError():
            return _unanswered(error, address, timeout_s)
        case _:
            return StoreError(f"the client of Qdrant at {address} failed: {_line(error)}")


def _unanswered(source: Exception, address: str, timeout_s: int) -> StoreError:
    match source:
        case httpx.TimeoutException():
            return StoreUnavailableError(
                f"Qdrant at {address} did not answer within {timeout_s} s: try again, or raise "
                "RAG_STORE__TIMEOUT_S"
            )
        case httpx.TransportError():
            return StoreUnavailableError(
                f"Qdrant at {address} cannot be reached ({_line(source)}): start it, or correct "
                "RAG_STORE__URL"
            )
        case _:
            return StoreError(
                f"what answers at {address} is no Qdrant server that this program understands "
                f"({_line(source)}): correct RAG_STORE__URL, or update Qdrant"
            )


def _refused(error: UnexpectedResponse, address: str) -> StoreError:
    status, reason = error.status_code or 0, _reason(error)
    if status in _PASSING or status >= _SERVER_FAULTS:
        return StoreUnavailableError(
            f"Qdrant at {address} failed (status {status}: {reason}): try again, or look into its "
            "log"
        )
    mend = _MENDS.get(status, "correct what was sent")
    return StoreError(f"Qdrant at {address} refused (status {status}: {reason}): {mend}")


def _reason(error: UnexpectedResponse) -> str:
    """What the server says about it, in one line."""
    try:
        said = json.loads(error.content)["status"]["error"]
    except (ValueError, KeyError, TypeError):
        said = error.reason_phrase
    return _one_line(str(said))


def _line(error: Exception) -> str:
    return _one_line(str(error) or type(error).__name__)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_REASON]
