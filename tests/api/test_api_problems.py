"""Every error has a status, a problem document, and nothing of the inside in it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from api_fakes import MakeApplication, MakeClient

from api.http.problems import STATUS, TITLES, problem_of, status_of
from rag import errors
from rag.errors import InputError, OverloadedError, RagError, RangeError, StoreError

ASKED = {"question": "x"}


def classes_below(parent: type[RagError]) -> set[type[RagError]]:
    return {parent}.union(*(classes_below(child) for child in parent.__subclasses__()))


def test_every_error_of_the_tree_has_a_status() -> None:
    ours = {one for one in classes_below(RagError) if one.__module__ == errors.__name__}
    assert ours == set(STATUS)


def test_every_status_has_a_title() -> None:
    assert {status.value for status in STATUS.values()} <= set(TITLES)


def test_an_error_without_a_line_has_the_status_of_the_nearest_above() -> None:
    class NewError(InputError):
        pass

    assert status_of(NewError("x")) == 422


@pytest.mark.parametrize(
    ("error", "status", "kind", "retryable"),
    [
        (errors.QuestionError("q"), 422, "question", False),
        (RangeError("k", 0, 1, 200), 422, "range", False),
        (errors.FilterError("f"), 422, "filter", False),
        (errors.NotFoundError("n"), 404, "not-found", False),
        (errors.MissingExtraError("x", "pip install x"), 501, "missing-extra", False),
        (errors.StoreMismatchError("s"), 500, "store-mismatch", False),
        (errors.StoreLockedError("s"), 503, "store-locked", True),
        (errors.ServiceError("s"), 502, "service", True),
        (OverloadedError("o"), 503, "overloaded", True),
        (RagError("r"), 500, "rag", False),
    ],
)
def test_problem_of_an_error(error: RagError, status: int, kind: str, retryable: bool) -> None:
    problem = problem_of(error)
    assert set(problem) == {"type", "title", "status", "detail", "retryable"}
    assert problem["status"] == status
    assert problem["type"] == f"urn:thrifty-rag:problem:{kind}"
    assert problem["detail"] == str(error)
    assert problem["retryable"] is retryable


class FailingRetriever:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def retrieve(self, *_: Any) -> Any:
        raise self._error


async def test_retry_after_is_whole_seconds_rounded_up(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    error = OverloadedError("full", retry_after_s=1.2)
    client = await make_client(make_application(retriever=FailingRetriever(error)))
    response = await client.post("/v1/answers", json=ASKED)
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


async def test_an_error_of_ours_is_told_in_its_own_words(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(
        make_application(retriever=FailingRetriever(StoreError("the store is broken")))
    )
    response = await client.post("/v1/search", json=ASKED)
    assert response.status_code == 500
    assert response.json()["detail"] == "the store is broken"
    assert "retry-after" not in response.headers


@pytest.mark.parametrize("path", ["/v1/answers", "/v1/search", "/v1/context"])
async def test_an_unexpected_error_is_logged_and_told_to_nobody(
    make_application: MakeApplication,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    error = ValueError("secret words")
    client = await make_client(make_application(retriever=FailingRetriever(error)))
    response = await client.post(path, json=ASKED)
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:thrifty-rag:problem:internal"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    (record,) = (one for one in caplog.records if one.levelno == logging.ERROR)
    assert record.exc_info is not None
    assert record.exc_info[1] is error
