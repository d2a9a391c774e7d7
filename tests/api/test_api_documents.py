"""/v1/documents: texts, uploads and paths in; lists and texts out; gone with proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from api_fakes import TEXTS, FakeApplication, MakeApplication, MakeClient, finish

from api.http.uploads import safe_name
from rag.errors import InputError

TOKEN = {"Authorization": "Bearer secret"}


def outcomes(job: dict[str, Any]) -> dict[str, str]:
    return {item["source"]: item["outcome"] for item in job["report"]["items"]}


async def test_list_of_all_and_of_one_collection(client: httpx.AsyncClient) -> None:
    body = {"collection": "other", "documents": [{"text": "# Other\n\nText."}]}
    await finish(client, await client.post("/v1/documents", json=body))
    everything = (await client.get("/v1/documents")).json()["documents"]
    assert [one["collection"] for one in everything] == ["default", "default", "other"]
    (other,) = (await client.get("/v1/documents?collection=other")).json()["documents"]
    assert set(other) == {
        "collection",
        "document_id",
        "title",
        "sources",
        "chunks",
        "version",
        "family",
    }
    assert other["title"] == "Other"
    assert other["sources"] == [f"api:{other['document_id']}"]


async def test_empty_service_has_an_empty_list(
    application: FakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(application)
    response = await client.get("/v1/documents")
    assert (response.status_code, response.json()) == (200, {"documents": []})


async def test_one_document_with_text_and_sources(client: httpx.AsyncClient) -> None:
    document = (await client.get("/v1/documents/refunds")).json()
    assert document["text"] == TEXTS["refunds"]
    assert document["sources"] == ["api:refunds"]


async def test_texts_keep_their_ids_and_can_change(client: httpx.AsyncClient) -> None:
    texts = [
        {"id": "refunds", "text": "Refunds take 20 days."},
        {"id": "shipping", "text": TEXTS["shipping"], "title": ""},
        {"id": "a/b c?", "title": "New", "text": "x", "metadata": {"lang": "en", "n": 1}},
        {"text": "Without an id."},
        {"text": "Without an id."},
    ]
    submitted = await client.post("/v1/documents", json={"documents": texts})
    assert set(submitted.json()) == {
        "id", "state", "collection", "created_at", "started_at", "finished_at", "attempts",
        "progress", "report", "reason", "can_be_retried",
    }  # fmt: skip
    job = await finish(client, submitted)
    assert job["state"] == "done"
    assert outcomes(job)["api:refunds"] == "changed"
    assert outcomes(job)["api:shipping"] == "unchanged"
    assert outcomes(job)["api:a/b c?"] == "added"
    assert job["report"]["counts"]["added"] == 2
    found = (await client.get("/v1/documents/a%2Fb%20c%3F")).json()
    assert (found["title"], found["metadata"]) == ("New", {"lang": "en", "n": 1})
    hits = {"question": "x", "filters": {"lang": "en"}}
    (hit,) = (await client.post("/v1/search", json=hits)).json()["hits"]
    assert hit["document_id"] == "a/b c?"


async def test_forgetting_gives_proof_and_answers_forget_too(client: httpx.AsyncClient) -> None:
    proof = (await client.delete("/v1/documents/refunds")).json()
    assert proof == {
        "document_id": "refunds",
        "sources": ["api:refunds"],
        "chunks_before": 1,
        "chunks_after": 0,
        "documents_before": 2,
        "documents_after": 1,
        "found_after": 0,
        "answers_removed": 0,
    }
    assert (await client.get("/v1/documents/refunds")).status_code == 404
    answer = (await client.post("/v1/answers", json={"question": "refunds"})).json()
    assert answer["status"] == "abstained"


async def test_uploads_go_in_under_their_own_names_and_leave_no_copy(
    client: httpx.AsyncClient, application: FakeApplication
) -> None:
    files = [
        ("files", ("guide.md", b"# Guide\n\nUploaded words.")),
        ("file", ("rows.jsonl", b'{"id": "r1", "text": "A row."}\n{"id": "r2"}\n')),
        ("files", ("bad.pdf", b"%PDF-1.7\nno PDF")),
        ("files", ("empty.txt", b"")),
        ("files", ("C:\\dir\\..\\program.exe", b"x")),
    ]
    form = {"collection": "up"}
    job = await finish(client, await client.post("/v1/documents", files=files, data=form))
    assert job["state"] == "done"
    assert outcomes(job) == {
        "upload:guide.md": "added",
        "upload:rows.jsonl#r1": "added",
        "upload:rows.jsonl#r2": "failed",
        "upload:bad.pdf": "failed",
        "upload:empty.txt": "failed",
        "upload:program.exe": "failed",
    }
    assert all(one["reason"] for one in job["report"]["items"] if one["outcome"] == "failed")
    assert job["report"]["counts"]["failed"] == 4
    left = (application.settings.data_dir / "uploads").glob("*/*")  # what a retry would take
    assert {path.name for path in left} == {"rows.jsonl", "bad.pdf", "empty.txt", "program.exe"}
    answer = await client.post("/v1/answers", json={"question": "uploaded", "collection": "up"})
    assert answer.json()["citations"][0]["source"] == "upload:guide.md"


async def test_an_upload_of_the_same_name_replaces_the_one_before(
    client: httpx.AsyncClient, application: FakeApplication
) -> None:
    for text in (b"# Guide\n\nOld words.", b"# Guide\n\nNew words."):
        await finish(
            client, await client.post("/v1/documents", files=[("files", ("guide.md", text))])
        )
    listed = (await client.get("/v1/documents")).json()["documents"]
    (guide,) = (one for one in listed if one["sources"] == ["upload:guide.md"])
    shown = (await client.get(f"/v1/documents/{guide['document_id']}")).json()
    assert "New words." in shown["text"]
    assert list((application.settings.data_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"urls": []}, "urls: list should have at least 1 item"),
        ({"urls": ["https://example.org/"] * 1_001}, "urls: list should have at most 1000 items"),
        ({"urls": ["ftp://example.org/a.md"]}, "give one with http:// or https://"),
        ({"urls": ["example.org"]}, "give one with http:// or https://"),
        ({"urls": ["https://"]}, "is no address of a page"),
        ({"urls": ["https://h:99999/"]}, "is no address of a page"),
        ({"urls": ["https://user:secret@example.org/"]}, "holds a name or password"),
        ({"urls": ["https://example.org/" + "a" * 2_000]}, "at most 2000 characters"),
        ({"urls": ["https://e.org/"], "documents": [{"text": "x"}]}, "not both, not none"),
        ({"collection": "c"}, "give documents, or urls or paths"),
        ({"documents": [{"text": "x"}], "sync": True}, "sync and dry_run are for urls and paths"),
    ],
)
async def test_bad_urls(client: httpx.AsyncClient, body: dict[str, Any], words: str) -> None:
    response = await client.post("/v1/documents", json=body)
    assert response.status_code == 422
    assert words in response.json()["detail"]
    assert len((await client.get("/v1/jobs")).json()["jobs"]) == 1  # that of the fixture


async def test_urls_need_no_token_and_become_a_job(client: httpx.AsyncClient) -> None:
    body = {"urls": ["HTTPS://Example.ORG:443/a b#part"], "collection": "web", "sync": True}
    response = await client.post("/v1/documents", json=body)
    assert response.status_code == 202
    job = await finish(client, response)
    assert job["collection"] == "web"
    (item,) = job["report"]["items"]  # the fake loader knows no network
    assert (item["source"], item["outcome"]) == ("https://example.org/a%20b", "failed")


@pytest.mark.parametrize(
    ("files", "form", "words"),
    [
        ([], {"collection": "c"}, "files: send at least one file"),
        ([("files", ("a.md", b"x"))], {"colection": "c"}, "colection: there is no such field"),
        ([("files", ("a.md", b"x"))], {"collection": "a/b"}, "collection: use 1 to 100"),
        ([("other", ("a.md", b"x"))], {}, "other: there is no such field"),
        ([("files", (".", b"x"))], {}, "'.' is no name of a file"),
        ([("files", ("a.md", b"x")), ("files", ("d/a.md", b"y"))], {}, "two files are called"),
    ],
)
async def test_bad_uploads(
    client: httpx.AsyncClient, files: list[Any], form: dict[str, str], words: str
) -> None:
    if not files:
        files = [("nothing", (None, b"x"))]
        form |= {}
        words = "nothing: there is no such field"
    response = await client.post("/v1/documents", files=files, data=form)
    assert response.status_code == 422, response.text
    assert words in response.json()["detail"]


async def test_a_disk_that_cannot_take_an_upload(
    client: httpx.AsyncClient, application: FakeApplication
) -> None:
    (application.settings.data_dir / "uploads").touch()  # where a folder should be
    response = await client.post("/v1/documents", files=[("files", ("a.md", b"x"))])
    assert response.status_code == 500
    assert "cannot be kept until they are indexed" in response.json()["detail"]
    assert len((await client.get("/v1/jobs")).json()["jobs"]) == 1  # that of the fixture


async def test_a_form_without_files_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/documents", files={"files": (None, b"only text")})
    assert response.status_code == 422
    assert "send at least one file" in response.json()["detail"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("guide.md", "guide.md"),
        ("/etc/passwd.txt", "passwd.txt"),
        ("..\\..\\x.pdf", "x.pdf"),
        ("a\x00b\n.txt", "a_b_.txt"),
        ("ü" * 200 + ".docx", "ü" * 97 + ".docx"),
        (".hidden.md", "hidden.md"),
    ],
)
def test_safe_name(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/", " . "])
def test_no_name(name: str) -> None:
    with pytest.raises(InputError, match="is no name of a file"):
        safe_name(name)


async def test_paths_need_the_token_of_the_data_folder(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n\nHello.")
    body = {"paths": [str(tmp_path / "docs")]}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
        response = await client.post("/v1/documents", json=body, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    job = await finish(client, await client.post("/v1/documents", json=body, headers=TOKEN))
    assert outcomes(job) == {str(tmp_path / "docs" / "a.md"): "added"}


async def test_paths_sync_and_dry_run(client: httpx.AsyncClient, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    first, second = folder / "a.md", folder / "b.md"
    first.write_text("# A\n\nHello.")
    second.write_text("# B\n\nHello too.")

    async def ingest(**more: bool) -> dict[str, str]:
        body = {"paths": [str(folder)], "collection": "files", **more}
        job = await finish(client, await client.post("/v1/documents", json=body, headers=TOKEN))
        return outcomes(job)

    assert set((await ingest(dry_run=True)).values()) == {"added"}
    assert (await client.get("/v1/documents?collection=files")).status_code == 404
    assert set((await ingest()).values()) == {"added"}
    second.unlink()
    assert await ingest() == {str(first): "unchanged"}
    foretold = await ingest(sync=True, dry_run=True)
    assert foretold == {str(first): "unchanged", str(second): "removed"}
    assert await ingest(sync=True) == {str(first): "unchanged", str(second): "removed"}


async def test_a_missing_path_fails_the_job_with_the_reason(client: httpx.AsyncClient) -> None:
    body = {"paths": ["/nowhere/at/all.md"]}
    job = await finish(client, await client.post("/v1/documents", json=body, headers=TOKEN))
    assert job["state"] == "failed"
    assert "/nowhere/at/all.md does not exist" in job["reason"]


async def test_what_an_interrupted_service_left_is_cleared(
    make_application: MakeApplication, make_client: MakeClient, tmp_path: Path
) -> None:
    left = tmp_path / "data" / "uploads" / "x"
    left.mkdir(parents=True)
    (left / "secret.md").write_text("x")
    await make_client(make_application())
    assert not left.exists()
