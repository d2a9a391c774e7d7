"""What is masked, how it comes back, and what a model is given: no server, real recognizers."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from scripted_model import ScriptedModel, collect, failure_of, model_call, said, text_of

from generation.privacy.finding import PresidioFinder
from generation.privacy.kinds import KINDS, Finder
from generation.privacy.masked_batches import MaskedBatches
from generation.privacy.masked_model import MaskedModel
from generation.privacy.masking import Masking, Rules
from generation.privacy.placeholders import Naming, Restoring, Values
from generation.providers.batch import BatchAnswer, BatchProgress, BatchResult
from rag.calls import CallEnd, ModelCall, Prompt, TextDelta
from rag.errors import ModelError, ProviderReplyError
from rag.types import CostLine

FINDER = PresidioFinder()
CLEAN = "Nothing of anybody stands here."


def found(text: str, finder: Finder = FINDER) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in finder.find(text, KINDS)]


def asking(user: str, collection: str = "help", system: str = "Answer.") -> ModelCall:
    call = model_call()
    question = replace(call.question, collection=collection)
    return replace(call, prompt=Prompt("test-1", system, user), question=question)


class TestFinding:
    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("email", "bob.o'neil+news@mail.example.co.uk"),
            ("email", "иван@пример.рф"),
            ("email", '"john doe"@example.org'),
            ("iban", "DE89 3704 0044 0532 0130 00"),
            ("iban", "gb29nwbk60161331926819"),
            ("iban", "BE68-5390-0754-7034"),
            ("card", "4111 1111 1111 1111"),
            ("card", "3782\u202f822463\u202f10005"),
            ("card", "2223003122003222"),
            ("ip", "91.12.33.7"),
            ("ip", "2001:db8::ff00:42:8329"),
            ("phone", "+49 30 23125 123"),
            ("phone", "(202)\u00a0555‑0123"),
            ("phone", "06.39.98.12.34"),
            ("phone", "+81 3-1234-5678"),
        ],
    )
    def test_a_value_is_found_whole_and_alone(self, kind: str, value: str) -> None:
        text = f"Before it: {value}, and after."
        assert found(text) == [(kind, value)]

    @pytest.mark.parametrize(
        "text",
        [
            "Version 1.2.3.4 of 2026-01-15 10:30:00, on 12/31/2026",
            "127.0.0.1, ::1, 0.0.0.0 and the mask 255.255.255.0",
            "order 4471234567 of 1 234 567 890 rows, or 0.163420078, 0.39-1.03",
            "the card 4111 1111 1111 1112, whose check digit is wrong",
            "DE88 3704 0044 0532 0130 00 has one that is wrong too",
            "pip install left-pad@1.2.3 and @decorator",
            "ISBN 978-3-16-148410-0, the time 12:34:56",
        ],
    )
    def test_what_is_nobodys_is_left_alone(self, text: str) -> None:
        assert found(text) == []

    def test_a_bare_number_is_a_telephone_where_the_words_say_so(self) -> None:
        assert found("Call me: 2025550123") == [("phone", "2025550123")]
        assert found("There are 2025550123 of them") == []

    def test_what_stands_behind_an_account_is_not_part_of_it(self) -> None:
        assert found("BE68 5390 0754 7034 BANK 12") == [("iban", "BE68 5390 0754 7034")]

    def test_asian_words_around_an_address_stay(self) -> None:
        assert found("連絡先はuser@example.jpまで") == [("email", "user@example.jp")]

    def test_only_the_kinds_that_are_wanted(self) -> None:
        text = "bob@example.com from 91.12.33.7"
        assert [one.kind for one in FINDER.find(text, ["ip"])] == ["ip"]

    @pytest.mark.parametrize(
        "part",
        ["a.", "1 ", "1.", "a@b-", "@", '"a', ":1", "AB12 ", "4111 ", "+1", "例", "user@a."],
    )
    def test_no_text_takes_long(self, part: str) -> None:
        text = part * (20_000 // len(part)) + "@ 1234567"
        began = time.perf_counter()
        FINDER.find(text, KINDS)
        assert time.perf_counter() - began < 20  # it was seconds for a fifth of that, or minutes

    def test_names_are_found_by_a_model_that_is_named(self, tmp_path: Path) -> None:
        pipeline = spacy.blank("en")
        ruler = pipeline.add_pipe("entity_ruler")
        ruler.add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}])  # type: ignore[attr-defined]
        pipeline.to_disk(tmp_path / "names")
        finder = PresidioFinder(names_model=str(tmp_path / "names"))
        assert found("Ask Ada Lovelace.", finder) == [("name", "Ada Lovelace")]
        assert found("Ask Ada Lovelace.") == []

    def test_a_model_of_names_that_is_not_there(self) -> None:
        with pytest.raises(ModelError, match=r"'xx_no_such' cannot be loaded .* or give its fold"):
            PresidioFinder(names_model="xx_no_such")


class TestPlaceholders:
    def mask(self, *texts: str) -> tuple[list[str], Values]:
        naming = Naming(texts)
        return [naming.masked(text, FINDER.find(text, KINDS)) for text in texts], naming.values

    def test_the_same_value_has_the_same_one_however_it_is_written(self) -> None:
        (first, second), values = self.mask(
            "Bob@Example.com, +49 30 23125123", "bob@example.com or eve@example.com, +493023125123"
        )
        assert first == "<EMAIL_1>, <PHONE_1>"
        assert second == "<EMAIL_1> or <EMAIL_2>, <PHONE_1>"
        assert values.restored(second) == "Bob@Example.com or eve@example.com, +49 30 23125123"

    def test_one_that_the_text_holds_already_stands_for_nothing(self) -> None:
        (masked,), values = self.mask("Write <EMAIL_1> for bob@example.com.")
        assert masked == "Write <EMAIL_1> for <EMAIL_2>."
        assert values.restored(masked) == "Write <EMAIL_1> for bob@example.com."

    def test_one_that_stands_for_nothing_stays(self) -> None:
        _, values = self.mask("bob@example.com")
        assert values.restored("<EMAIL_1> <EMAIL_12> <PHONE_1>") == (
            "bob@example.com <EMAIL_12> <PHONE_1>"
        )

    @given(st.lists(st.integers(0, 40), max_size=8))
    def test_a_text_in_pieces_is_restored_wherever_it_is_cut(self, cuts: list[int]) -> None:
        values = Values({"<EMAIL_1>": "a@b.org", "<EMAIL_12>": "c@d.org", "<IP_1>": "<91.1.1.1>"})
        text = "<<EMAIL_1> <EMAIL_12>,<EMAIL_3> <IP_1><EM"
        places = [0, *sorted(cuts), len(text)]
        restoring = Restoring(values)
        pieces = [restoring.add(text[a:b]) for a, b in pairwise(places)]
        assert "".join([*pieces, restoring.end()]) == values.restored(text)

    def test_what_cannot_become_one_is_not_held_back(self) -> None:
        restoring = Restoring(Values({"<EMAIL_1>": "a@b.org"}))
        pieces = ("a < b", " <EM", "PTY>", "<EMAIL_1")
        assert [restoring.add(piece) for piece in pieces] == ["a < b", " ", "<EMPTY>", ""]
        assert restoring.add(">") == "a@b.org"


class TestMaskedModel:
    def masked(self, *script: object, **rules: object) -> tuple[MaskedModel, ScriptedModel]:
        inside = ScriptedModel(script or said("fine"))  # type: ignore[arg-type]
        made = Rules(**({"mask": KINDS} | rules))  # type: ignore[arg-type]
        return MaskedModel(inside, Masking(made, FINDER)), inside

    async def test_the_model_is_told_of_placeholders_and_gets_no_value(self) -> None:
        model, inside = self.masked()
        await collect(model.stream(asking("1: bob@example.com\nWho is bob@example.com?")))
        (call,) = inside.calls
        assert call.prompt.user == "1: <EMAIL_1>\nWho is <EMAIL_1>?"
        assert "Words such as <EMAIL_1> stand for what is left out" in call.prompt.system
        assert call.prompt.version == "test-1+masked"

    async def test_a_prompt_without_any_is_sent_as_it_is(self) -> None:
        model, inside = self.masked()
        call = asking(CLEAN)
        await collect(model.stream(call))
        assert inside.calls == [call]

    async def test_the_answer_is_restored_and_the_log_probabilities_stay(self) -> None:
        end = CallEnd("stop", None, "", "m")
        cost = CostLine("generate", "m", None, 1.0)
        steps = [
            TextDelta("Ask <EMA", (-0.1,)),
            TextDelta("IL_1", (-0.2,)),
            TextDelta("> <", (-0.3,)),
        ]
        model, _ = self.masked(*steps, cost, end)
        events = await collect(model.stream(asking("bob@example.com")))
        assert events == [
            TextDelta("Ask ", (-0.1,)),
            TextDelta("", (-0.2,)),
            TextDelta("bob@example.com ", (-0.3,)),
            cost,
            TextDelta("<"),
            end,
        ]

    async def test_instructions_of_the_operator_are_masked_too(self) -> None:
        model, inside = self.masked()
        await collect(model.stream(asking("Who?", system="Send them to boss@example.com.")))
        assert "boss@example.com" not in inside.calls[0].prompt.system

    async def test_a_collection_masks_its_own_kinds(self) -> None:
        model, inside = self.masked(mask_of={"staff": ("ip",), "open": ()})
        text = "bob@example.com at 91.12.33.7"
        for collection in ("help", "staff", "open"):
            await collect(model.stream(asking(text, collection)))
        assert [call.prompt.user for call in inside.calls] == [
            "<EMAIL_1> at <IP_1>",
            "bob@example.com at <IP_1>",
            text,
        ]

    async def test_nothing_of_a_collection_that_stays_reaches_the_model(self) -> None:
        model, inside = self.masked(stays_here=("home",))
        error, events = await failure_of(model, asking(CLEAN, "home"))
        assert "this collection never leaves the machine" in str(error)
        assert (events, inside.calls) == ([], [])
        await collect(model.stream(asking(CLEAN)))
        assert len(inside.calls) == 1


class Endpoint:
    """A BatchEndpoint that answers each call with its own prompt."""

    provider, model = "openai", "big"

    def __init__(self) -> None:
        self.sent: dict[str, ModelCall] = {}

    async def submit(self, calls: dict[str, ModelCall]) -> str:  # type: ignore[override]
        self.sent = dict(calls)
        return "batch_1"

    async def progress(self, batch_id: str) -> BatchProgress:
        return BatchProgress(True, len(self.sent), len(self.sent), 0)

    async def results(self, batch_id: str, calls: dict[str, ModelCall]) -> dict[str, BatchResult]:  # type: ignore[override]
        end = CallEnd("stop", None, "", "big")
        return {
            name: BatchAnswer(self.sent[name].prompt.user, end)
            if name in self.sent
            else ProviderReplyError("no result")
            for name in calls
        }


CALLS = {"a": asking("bob@example.com?"), "b": asking(CLEAN)}


class TestMaskedBatches:
    async def test_calls_are_masked_and_answers_restored(self) -> None:
        inside = Endpoint()
        batches = MaskedBatches(inside, Masking(Rules(KINDS), FINDER))  # type: ignore[arg-type]
        assert await batches.submit(CALLS) == "batch_1"
        assert [call.prompt.user for call in inside.sent.values()] == ["<EMAIL_1>?", CLEAN]
        assert "b" in inside.sent, "what is not masked goes by its own name"
        results = await batches.results("batch_1", CALLS)
        texts = {name: one.text for name, one in results.items() if isinstance(one, BatchAnswer)}
        assert texts == {"a": "bob@example.com?", "b": CLEAN}

    async def test_other_settings_when_it_is_collected_put_in_no_wrong_value(self) -> None:
        inside = Endpoint()
        calls = {"a": asking("bob@example.com and 91.12.33.7")}
        await MaskedBatches(inside, Masking(Rules(("email",)), FINDER)).submit(calls)  # type: ignore[arg-type]
        other = MaskedBatches(inside, Masking(Rules(KINDS), FINDER))  # type: ignore[arg-type]
        (result,) = (await other.results("batch_1", calls)).values()
        assert isinstance(result, ProviderReplyError)

    async def test_what_was_sent_can_be_collected_after_the_collection_was_closed(self) -> None:
        inside = Endpoint()
        await MaskedBatches(inside, Masking(Rules(KINDS), FINDER)).submit(CALLS)  # type: ignore[arg-type]
        closed = MaskedBatches(inside, Masking(Rules(KINDS, {}, ("help",)), FINDER))  # type: ignore[arg-type]
        results = await closed.results("batch_1", CALLS)
        assert all(isinstance(one, BatchAnswer) for one in results.values())
        with pytest.raises(Exception, match="never leaves the machine"):
            await closed.submit(CALLS)


async def test_signs_that_are_no_placeholder_are_lost_nowhere() -> None:
    model = MaskedModel(ScriptedModel(said("a<", "b ", "<EMAIL_9>")), Masking(Rules(KINDS), FINDER))
    assert text_of(await collect(model.stream(asking("bob@example.com")))) == "a<b <EMAIL_9>"
