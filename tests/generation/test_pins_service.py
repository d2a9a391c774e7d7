"""Pinned answers as their users meet them: the real service with the real model, which quotes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.build import Application, build_around, embedding
from api.http.app import create_app
from api.setting_groups.answers import ReuseSettings
from api.settings import Settings

QUESTION = "How many business days does a refund take?"
PAGES = {
    "refunds": "A refund takes five business days and goes to the card that paid.",
    "hours": "The shop opens at nine in the morning on weekdays.",
}
QUOTE = "A refund takes five business days and goes to the card that paid."
OTHERS = [
    "How many business days will a refund take?",
    "How many business days do refunds take?",
    "Within how many business days will I get a refund?",
    "A refund takes how many business days?",
]
"""Now and then one gets a fresh answer to learn from, and not all."""
BETTER = "Five business days, to your card [1]."


class Service:
    def __init__(self, app: Any, folder: Path) -> None:
        self._service = app.state.service
        self._is_open = True
        self.application: Application = self._service.application
        transport = httpx.ASGITransport(app=app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
        self.folder = folder

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            await self._service.close()

    async def ask(self, question: str = QUESTION, tenant: str = "", **asked: Any) -> dict[str, Any]:
        headers = {"X-Rag-Tenant": tenant} if tenant else {}
        body = {"question": question, **asked}
        return self._read(await self.client.post("/v1/answers", json=body, headers=headers))

    async def pin(self, **asked: Any) -> dict[str, Any]:
        return self._read(await self.client.post("/v1/pins", json=asked))

    async def pins(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._read(await self.client.get("/v1/pins", params=params))[
            "pins"
        ]
        return found

    async def refused(self, **asked: Any) -> tuple[int, str]:
        response = await self.client.post("/v1/pins", json=asked)
        return response.status_code, response.json()["detail"]

    async def own(self, text: str = BETTER, quote: str = QUOTE, **more: Any) -> dict[str, Any]:
        """A pin of words that a person has written."""
        cited = [{"marker": 1, "document_id": await self.document("refunds"), "quote": quote}]
        return {"question": QUESTION, "answer": text, "citations": cited} | more

    async def document(self, name: str) -> str:
        listed = (await self.client.get("/v1/documents")).json()["documents"]
        [found] = [one["document_id"] for one in listed if name in one["sources"][0]]
        return str(found)

    async def put(self, name: str, text: str) -> None:
        path = self.folder / f"{name}.md"
        path.write_text(f"# {name}\n\n{text}\n")
        await self.application.ingestion.ingest([str(path)], "default")

    def _read(self, response: httpx.Response) -> dict[str, Any]:
        assert response.is_success, response.text
        found: dict[str, Any] = response.json()
        return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@pytest.fixture
async def make(tmp_path: Path, model: Any) -> AsyncIterator[Any]:
    """Opens services; the pages are in them."""
    opened = []

    async def make_(url: SecretStr | None = None, **reuse: Any) -> Service:
        chosen = ReuseSettings(**({"min_confidence": 0.0} | reuse))
        settings = Settings(data_dir=tmp_path / "data", state_url=url, reuse=chosen)
        made = Service(create_app(build_around(settings, *model)), tmp_path)
        opened.append(made)
        for name, text in PAGES.items():
            await made.put(name, text)
        return made

    yield make_
    for made in opened:
        await made.close()


@pytest.fixture
async def service(make: Any) -> Service:
    made: Service = await make()
    return made


class TestGiving:
    async def test_a_corrected_answer_is_given_first_on_every_state(
        self, make: Any, state_url: SecretStr | None
    ) -> None:
        service = await make(state_url)
        made = await service.ask()
        pinned = await service.pin(answer_id=made["id"], answer=BETTER)
        again = await service.ask("Hello, how many business days does a refund take, please?")
        assert (again["answer"], again["tier"], again["model"]) == (BETTER, "cache", "person")
        assert again["because"].startswith("a person approved this answer to the same question")
        assert again["confidence"] == 1
        assert again["citations"] == made["citations"] == pinned["citations"]
        assert again["cost"]["saved_usd"] == made["cost"]["baseline_usd"]
        assert [one["id"] for one in await service.pins()] == [pinned["id"]]

    async def test_the_words_of_the_answer_may_stay(self, service: Service) -> None:
        made = await service.ask()
        await service.pin(answer_id=made["id"])
        again = await service.ask()
        assert (again["answer"], again["model"]) == (made["answer"], made["model"])

    async def test_an_answer_that_was_given_again_can_be_pinned_too(self, service: Service) -> None:
        await service.ask()
        again = await service.ask()
        assert (await service.pin(answer_id=again["id"]))["question"] == QUESTION

    async def test_other_words_get_it_by_the_checks_of_any_kept_answer(
        self, service: Service
    ) -> None:
        await service.pin(**await service.own())
        given = [one for other in OTHERS if (one := await service.ask(other))["answer"] == BETTER]
        assert given[0]["because"].startswith("reused: the kept answer is wrong with a chance of")
        assert given[0]["because"].endswith("a person approved it")
        assert given[0]["confidence"] < 1
        number = await service.ask("How many business days do 2 refunds take?")
        assert number["answer"] != BETTER

    async def test_without_reuse_of_other_words_the_same_words_get_it(self, make: Any) -> None:
        service = await make(max_error=0.0)
        await service.pin(**await service.own())
        assert (await service.ask())["answer"] == BETTER
        other = await service.ask("How many business days will a refund take?")
        assert other["answer"] != BETTER

    async def test_it_outlives_settings_and_the_age_of_kept_answers(self, make: Any) -> None:
        service = await make()
        await service.pin(**await service.own())
        await service.close()
        service = await make(keep_days=0.000001)
        assert (await service.ask(max_context_tokens=77))["answer"] == BETTER

    async def test_who_wants_a_fresh_answer_or_names_a_tier_gets_no_pin(
        self, service: Service
    ) -> None:
        await service.pin(**await service.own())
        for asked in ({"fresh": True}, {"tier": "extractive"}):
            assert (await service.ask(**asked))["tier"] == "extractive"

    async def test_it_is_for_its_tenant_collection_and_filters_alone(
        self, service: Service
    ) -> None:
        filters = {"source": [f"{service.folder}/refunds.md"]}
        await service.pin(**await service.own(filters=filters))
        assert (await service.ask(filters=filters))["answer"] == BETTER
        assert (await service.ask())["answer"] != BETTER
        assert (await service.ask(filters=filters, tenant="acme"))["answer"] != BETTER

    async def test_the_filters_of_a_kept_answer_are_those_of_its_pin(
        self, service: Service
    ) -> None:
        filters = {"source": [f"{service.folder}/refunds.md"]}
        made = await service.ask(filters=filters)
        pinned = await service.pin(answer_id=made["id"], answer=BETTER)
        assert pinned["filters"] == filters
        assert (await service.ask())["answer"] != BETTER

    async def test_a_verdict_does_not_remove_it_and_is_counted(self, service: Service) -> None:
        await service.pin(**await service.own())
        given = await service.ask()
        told = {"answer_id": given["id"], "verdict": "wrong"}
        assert (await service.client.post("/v1/feedback", json=told)).status_code == 200
        assert [one["said_wrong"] for one in await service.pins()] == [1]
        assert (await service.ask())["answer"] == BETTER

    async def test_the_last_approval_counts_and_removing_it_ends_it(self, service: Service) -> None:
        await service.pin(**await service.own("Soon [1]."))
        pinned = await service.pin(**await service.own())
        assert [one["answer"] for one in await service.pins()] == [BETTER]
        path = f"/v1/pins/{pinned['id']}"
        removed = await service.client.delete(path)
        assert (removed.status_code, removed.json()) == (200, pinned)
        assert (await service.ask())["answer"] != BETTER
        assert (await service.client.delete(path)).status_code == 404


class TestExpiring:
    async def test_a_changed_document_ends_it_and_it_can_be_approved_again(
        self, service: Service
    ) -> None:
        pinned = await service.pin(**await service.own())
        await service.put("refunds", f"{QUOTE} Ask us.")
        given = await service.ask()
        assert given["answer"] != BETTER
        [expired] = await service.pins()
        document = await service.document("refunds")
        assert expired["expired_because"] == f"document {document!r}, which it cites, was changed"
        assert expired["answer"] == BETTER
        again = await service.pin(answer_id=pinned["id"])
        assert again["expired_because"] is None
        assert [one["id"] for one in await service.pins()] == [again["id"]]
        assert (await service.ask())["answer"] == BETTER

    async def test_it_is_not_approved_again_where_the_quote_is_gone(self, service: Service) -> None:
        pinned = await service.pin(**await service.own())
        await service.put("refunds", QUOTE.replace("five", "nine"))
        status, detail = await service.refused(answer_id=pinned["id"])
        assert status == 422
        assert detail.startswith("the quote of citation [1] does not stand in document")

    async def test_forgetting_a_document_deletes_the_answer_and_shows_it(
        self, service: Service
    ) -> None:
        pinned = await service.pin(**await service.own())
        document = await service.document("refunds")
        proof = (await service.client.delete(f"/v1/documents/{document}")).json()
        assert proof["answers_removed"] == 1
        [expired] = await service.pins()
        assert expired["expired_because"] == f"document {document!r}, which it cites, is gone"
        assert (expired["answer"], expired["citations"]) == ("", [])
        with service.application.state.connect() as connection:
            kept = connection.exec_driver_sql("SELECT answer FROM pins").scalar()
        assert "five business days" not in str(kept)
        assert (await service.refused(answer_id=pinned["id"]))[0] == 404

    async def test_forgetting_deletes_one_that_had_expired_before_too(
        self, service: Service
    ) -> None:
        await service.pin(**await service.own())
        await service.put("refunds", "Refunds are slow.")
        assert (await service.pins())[0]["answer"] == BETTER
        document = await service.document("refunds")
        proof = (await service.client.delete(f"/v1/documents/{document}")).json()
        assert proof["answers_removed"] == 1
        assert (await service.pins())[0]["answer"] == ""

    async def test_other_documents_may_come_and_change(self, service: Service) -> None:
        await service.pin(**await service.own())
        await service.put("hours", "The shop opens at ten.")
        await service.put("fees", "How many business days does a refund take? A week.")
        assert (await service.ask())["answer"] == BETTER

    async def test_a_document_that_only_moved_says_what_it_said(self, service: Service) -> None:
        await service.pin(**await service.own())
        (service.folder / "copy.md").write_text((service.folder / "refunds.md").read_text())
        await service.application.ingestion.ingest([str(service.folder / "copy.md")], "default")
        assert (await service.ask())["answer"] == BETTER


class TestRefusing:
    async def test_where_no_answer_is_given_again_none_is_pinned(self, make: Any) -> None:
        service = await make(enabled=False)
        status, detail = await service.refused(**await service.own())
        assert (status, detail.split(",")[0]) == (409, "reuse.enabled is false")

    async def test_an_answer_that_is_not_kept_is_told(self, make: Any) -> None:
        service = await make(min_confidence=1.0)
        made = await service.ask()
        for name in (made["id"], "ans_nobody"):
            status, detail = await service.refused(answer_id=name)
            assert status == 404
            assert detail.endswith("give question, answer and citations instead")
        body = {"question": QUESTION, "answer": made["answer"], "citations": made["citations"]}
        assert (await service.pin(**body))["citations"] == made["citations"]

    async def test_one_of_another_tenant_is_not_there(self, service: Service) -> None:
        made = await service.ask(tenant="acme")
        headers = {"X-Rag-Tenant": "other"}
        body = {"answer_id": made["id"]}
        response = await service.client.post("/v1/pins", json=body, headers=headers)
        assert response.status_code == 404
        pinned = await service.pin(**body)
        assert pinned["tenant"] == "acme"
        listed = await service.client.get("/v1/pins", headers=headers)
        assert listed.json() == {"pins": []}
        path = f"/v1/pins/{pinned['id']}"
        assert (await service.client.delete(path, headers=headers)).status_code == 404

    async def test_one_that_was_given_to_other_words_needs_these(self, service: Service) -> None:
        await service.ask()
        answers = {other: await service.ask(other) for other in OTHERS}
        other = next(one for one in OTHERS if answers[one]["because"].startswith("reused"))
        answer_id = answers[other]["id"]
        status, detail = await service.refused(answer_id=answer_id)
        assert (status, detail.rpartition(": ")[2]) == (422, "give question too")
        assert (await service.pin(answer_id=answer_id, question=other))["question"] == other

    @pytest.mark.parametrize(
        ("changed", "status", "detail"),
        [
            ({"answer": "Five days."}, 422, "the answer has no marker, and its citations are [1]"),
            ({"answer": "Five days [2]."}, 422, "the answer cites [2], and its citations are [1]"),
            ({"citations": []}, 422, "give an answer_id, or a question with its answer and"),
            ({"answer_id": "ans_1"}, 422, "citations, collection and filters are those of the"),
            ({"answer_id": "a b"}, 422, "answer_id: 'a b' does not fit"),
            ({"question": "q" * 5_000}, 422, "the question has 5,000 characters, the limit is"),
            ({"question": " \x00 "}, 422, "question: "),
            ({"answer": "x" * 20_001}, 422, "should have at most 20000 characters"),
            ({"collection": "other"}, 404, "no document"),
            ({"stars": 5}, 422, "stars: there is no such field"),
        ],
    )
    async def test_what_does_not_fit_is_told(
        self, service: Service, changed: dict[str, Any], status: int, detail: str
    ) -> None:
        found = await service.refused(**(await service.own() | changed))
        assert found[0] == status
        assert detail in found[1]
        assert await service.pins() == []

    async def test_citations_that_do_not_fit_are_told(self, service: Service) -> None:
        own = await service.own()
        cited = own["citations"][0]
        assert (await service.refused(**own | {"citations": [cited, cited]}))[0] == 422
        for wrong in ({"quote": "Ten days."}, {"quote": ""}, {"marker": 0}):
            assert (await service.refused(**own | {"citations": [cited | wrong]}))[0] == 422
        nowhere = {"citations": [cited | {"document_id": "nowhere"}]}
        assert (await service.refused(**own | nowhere))[0] == 404


class TestCorrecting:
    async def test_a_corrected_answer_is_wrong_edited_and_kept(self, service: Service) -> None:
        made = await service.ask()
        told = {"answer_id": made["id"], "correction": f" {BETTER}\n"}
        response = await service.client.post("/v1/feedback", json=told)
        assert response.json() == {
            "answer_id": made["id"], "verdict": "wrong", "use": "edited", "correction": BETTER,
        }  # fmt: skip
        assert (await service.ask())["tier"] == "extractive", "a wrong answer is not given again"

    async def test_it_goes_with_the_document(self, service: Service) -> None:
        made = await service.ask()
        told = {"answer_id": made["id"], "correction": BETTER, "use": "used"}
        assert (await service.client.post("/v1/feedback", json=told)).json()["use"] == "used"
        document = made["citations"][0]["document_id"]
        proof = (await service.client.delete(f"/v1/documents/{document}")).json()
        assert proof["answers_removed"] == 1

    @pytest.mark.parametrize(
        ("told", "detail"),
        [
            ({"verdict": "right", "correction": BETTER}, "a right answer needs none"),
            ({"correction": "Five days [7]."}, "the correction cites [7], and the citations of"),
            ({"correction": "\n"}, "it is empty: write something, or leave it out"),
            ({"correction": "x" * 20_001}, "should have at most 20000 characters"),
        ],
    )
    async def test_what_does_not_fit_is_told(
        self, service: Service, told: dict[str, Any], detail: str
    ) -> None:
        body = {"answer_id": (await service.ask())["id"]} | told
        response = await service.client.post("/v1/feedback", json=body)
        assert response.status_code == 422
        assert detail in response.json()["detail"]
        assert (await service.ask())["tier"] == "cache"
