"""Input that means harm: files under false names, markup, marks that turn the writing, the log."""

from __future__ import annotations

import logging
from urllib.parse import quote

import httpx
import pytest
from api_fakes import FakeApplication, MakeClient, finish

TURNED = "invoice\u202efdp.exe\u202c"
MARKUP = (
    "<script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "[a](javascript:alert(1))",
    "\u202etxet desrever\u2066",
    "\x00\x1b[31m\r\nSet-Cookie: a=b",
    "{{7*7}}%s%n",
)
PAGE = (
    b"<!doctype html><html><body><p>Lamps are repaired.</p><script>alert(1)</script></body></html>"
)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script><text>Lamps</text></svg>"


@pytest.mark.parametrize(
    ("name", "content", "outcome", "told"),
    [
        ("page.pdf", PAGE, "added", None),
        ("page.txt", PAGE, "added", None),
        ("notes.md", b"\x89PNG\r\n\x1a\n" + b"\0" * 60, "failed", "is really a PNG image"),
        ("guide.pdf", b"MZ\x90\0" + b"\0" * 60, "failed", "is really a Windows program"),
        ("notes.txt", b"\x7fELF" + b"\0" * 60, "failed", "is really a program"),
        ("image.svg", SVG, "failed", "unsupported extension .svg"),
    ],
)
async def test_an_upload_is_judged_by_its_content(
    client: httpx.AsyncClient, name: str, content: bytes, outcome: str, told: str | None
) -> None:
    job = await finish(client, await client.post("/v1/documents", files={"files": (name, content)}))
    [item] = job["report"]["items"]
    assert item["outcome"] == outcome, item
    assert (told or "") in (item["reason"] or "")
    if outcome == "added":
        document = (await client.get(f"/v1/documents/{item['document_id']}")).json()
        assert document["text"] == "Lamps are repaired."


async def test_a_name_does_not_turn_the_direction_of_writing(client: httpx.AsyncClient) -> None:
    upload = {"files": (f"{TURNED}.md", b"# Lamps\n\nLamps are repaired.")}
    job = await finish(client, await client.post("/v1/documents", files=upload))
    text = {"documents": [{"id": TURNED, "text": "Chairs are repaired too."}]}
    other = await finish(client, await client.post("/v1/documents", json=text))
    [uploaded], [sent] = job["report"]["items"], other["report"]["items"]
    assert uploaded["source"] == "upload:invoice_fdp.exe_.md"
    assert sent["document_id"] == "invoicefdp.exe"


@pytest.mark.parametrize("text", MARKUP)
async def test_nothing_that_is_sent_comes_back_as_a_page(
    client: httpx.AsyncClient, text: str
) -> None:
    responses = [
        await client.post("/v1/answers", json={"question": f"refunds {text}"}),
        await client.post("/v1/answers", json={"question": text, "conversation_id": text}),
        await client.post("/v1/answers", json={"question": "refunds", "collection": text}),
        await client.post("/v1/answers", json={"question": "refunds", "filters": {text: text}}),
        await client.post("/v1/feedback", json={"answer_id": text, "verdict": "right"}),
        await client.get(f"/v1/documents/{quote(text, safe='')}"),
        await client.get(f"/v1/jobs/{quote(text, safe='')}"),
        await client.get(f"/{quote(text, safe='')}"),
        await client.get("/v1/documents", params={"collection": text}),
    ]
    for response in responses:
        assert response.status_code in (200, 404, 422), response.text
        assert response.headers["content-type"].split(";")[0] in (
            "application/json",
            "application/problem+json",
        )
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in response.headers
        assert "\n" not in response.text
        if response.status_code >= 400:
            assert response.text.isascii()


@pytest.mark.parametrize("text", MARKUP)
async def test_a_log_line_is_one_line_of_plain_characters(
    application: FakeApplication,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:
    client = await make_client(application)
    with caplog.at_level(logging.INFO):
        await client.get(f"/v1/documents/{quote(text, safe='')}")
    [line] = [one.getMessage() for one in caplog.records if one.name.startswith("api")]
    assert line.isascii()
    assert line.isprintable()
