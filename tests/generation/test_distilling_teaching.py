"""What an answer teaches: the prompt as it was put, and the answer as it should be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from contexts import chunks_of, hits_of, question
from hypothesis import given
from hypothesis import strategies as st

from generation.distilling.markers import as_written, numbers_of
from generation.distilling.teaching import lesson_of, teaches
from generation.writing.checking import check
from generation.writing.citing import NOT_FOUND
from generation.writing.excerpts import Excerpt, excerpts_of
from generation.writing.prompt import NO_ANSWER, build_prompt
from rag.types import Context, Generation, Hit, Piece, Question

PAGES = {
    "refunds": "# Refunds\n\nMoney goes back to the card that paid. A refund takes five days.\n",
    "fees": "# Fees\n\nThe booking fee of 3 euros is kept. Stripe handles every payment.\n",
    "hours": "# Hours\n\nThe shop opens at nine in the morning. It closes at six.\n",
}
ASKED = replace(
    question("How long does a refund take?"),
    tenant="acme",
    answer_id="ans_1",
    escalated_from="local",
)


def hit_of(name: str) -> Hit:
    (chunk,) = chunks_of(PAGES[name], name)
    return hits_of([chunk], {})[0]


def whole(hit: Hit) -> Piece:
    return Piece(hit, hit.chunk.start, hit.chunk.end)


def part(hit: Hit, text: str) -> Piece:
    start = hit.chunk.start + hit.chunk.text.index(text)
    return Piece(hit, start, start + len(text))


CONTEXT = Context(tuple(whole(hit_of(name)) for name in PAGES), "", 0)


def answered(raw: str, context: Context = CONTEXT, asked: Question = ASKED) -> Generation:
    """As the premium tier makes it of what a model wrote."""
    found = check(asked.text, raw, excerpts_of(context))
    text = NOT_FOUND if found.is_empty else found.text
    return Generation(text, found.citations, 0.9, found.is_empty, "premium", "big")


def taught(raw: str, pieces: Sequence[Piece] = CONTEXT.pieces) -> str:
    context = Context(tuple(pieces), "", 0)
    return lesson_of(ASKED, context, answered(raw, context), "").answer


class TestMarkers:
    @pytest.mark.parametrize(
        "raw",
        [
            "A refund takes five days [1].",
            "The shop opens at nine in the morning [3].",
            "The shop closes at six [3]. A refund takes five days [1].",
            "The booking fee of 3 euros is kept [2]. Opening is at nine [3]. It closes at six [3].",
            "The money goes back to the card that paid [1]. Stripe handles every payment [2].",
            "- A refund takes five days [1]\n- Stripe handles every payment [2]",
            "Stripe handles every payment, and the shop closes at six [2][3].",
        ],
    )
    def test_they_are_the_numbers_of_the_excerpts_again(self, raw: str) -> None:
        assert taught(raw) == raw

    def test_the_answer_numbers_them_anew(self) -> None:
        """Else the test above would show nothing."""
        assert answered("The shop closes at six [3].").text == "The shop closes at six [1]."

    def test_a_marker_that_nothing_supports_is_not_taught(self) -> None:
        raw = "A refund takes five days [2]. The shop closes at six [3]."
        assert taught(raw) == "A refund takes five days. The shop closes at six [3]."

    def test_two_sentences_of_one_excerpt_are_one_number(self) -> None:
        raw = "The shop opens at nine in the morning and the money goes back to the card [3][1]."
        assert set(taught(raw).split("card")[1]) == set(" [1][3].")
        raw = "The shop opens at nine in the morning and it closes at six [3]."
        assert taught(raw) == raw

    def test_an_excerpt_of_the_same_document_is_told_from_another(self) -> None:
        hit = hit_of("hours")
        closes, opens = part(hit, "It closes at six."), part(hit, "The shop opens at nine")
        raw = "It closes at six [1]. The shop opens at nine in the morning [3]."
        assert taught(raw, [closes, whole(hit_of("fees")), opens]) == raw

    def test_brackets_in_code_are_left_alone(self) -> None:
        raw = "The shop closes at six [3]. Write `days[1]` for it."
        assert taught(raw) == raw

    @given(st.permutations(range(3)), st.permutations(range(3)))
    def test_in_whatever_order_excerpts_and_sentences_come(
        self, pages: Sequence[int], says: Sequence[int]
    ) -> None:
        told = [
            "A refund takes five days",
            "Stripe handles every payment",
            "The shop closes at six",
        ]
        raw = " ".join(f"{told[n]} [{list(pages).index(n) + 1}]." for n in says)
        assert taught(raw, [CONTEXT.pieces[n] for n in pages]) == raw

    def test_a_citation_of_what_the_model_did_not_see_is_not_taught(self) -> None:
        given_more = answered("The shop closes at six [3].")
        seen: list[Excerpt] = excerpts_of(Context(CONTEXT.pieces[:2], "", 0))
        assert (
            as_written(given_more.text, numbers_of(given_more, seen)) == "The shop closes at six."
        )


class TestLesson:
    def test_it_holds_the_prompt_that_was_put(self) -> None:
        lesson = lesson_of(ASKED, CONTEXT, answered("A refund takes five days [1]."), "Be warm.")
        assert lesson.prompt == build_prompt(ASKED, CONTEXT, "Be warm.")
        assert lesson.question == ASKED.text
        assert (lesson.answer_id, lesson.tenant, lesson.collection) == ("ans_1", "acme", "help")
        assert (lesson.model, lesson.escalated_from, lesson.is_abstained) == ("big", "local", False)
        revisions = {p.hit.chunk.document_id: p.hit.chunk.revision for p in CONTEXT.pieces}
        assert lesson.documents == revisions
        assert set(revisions) == set(PAGES)

    def test_an_abstention_teaches_the_word_that_the_prompt_asks_for(self) -> None:
        lesson = lesson_of(ASKED, CONTEXT, answered("NO_ANSWER"), "")
        assert (lesson.answer, lesson.is_abstained) == (NO_ANSWER, True)

    def test_equal_contexts_have_equal_evidence_and_no_others(self) -> None:
        made = answered("A refund takes five days [1].")
        contexts = [
            CONTEXT,
            Context(CONTEXT.pieces, "told otherwise", 7),
            Context(CONTEXT.pieces[:2], "", 0),
            Context(CONTEXT.pieces[::-1], "", 0),
            Context((part(CONTEXT.pieces[0].hit, "five days"), *CONTEXT.pieces[1:]), "", 0),
        ]
        found = [lesson_of(ASKED, context, made, "").evidence for context in contexts]
        assert found[0] == found[1]
        assert len(set(found)) == 4


class TestTeaches:
    GOOD = answered("A refund takes five days [1].")

    def test_an_escalated_answer_does(self) -> None:
        assert teaches(ASKED, CONTEXT, self.GOOD)
        assert teaches(ASKED, CONTEXT, answered("NO_ANSWER"))

    @pytest.mark.parametrize(
        ("asked", "context", "made"),
        [
            (replace(ASKED, escalated_from=None), CONTEXT, GOOD),
            (replace(ASKED, is_fresh=True), CONTEXT, GOOD),
            (ASKED, Context((), "", 0), Generation(NOT_FOUND, (), 0.0, True, "premium", "big")),
            (ASKED, CONTEXT, replace(GOOD, degraded_because="it was cut off")),
            (ASKED, CONTEXT, answered("A refund takes five days.")),
        ],
        ids=["nobody answered before", "asked for afresh", "no context", "degraded", "uncited"],
    )
    def test_others_do_not(self, asked: Question, context: Context, made: Generation) -> None:
        assert not teaches(asked, context, made)
