"""Answers by quoting: what is quoted, that it stands there word for word, and when it is silent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from contexts import chunks_of, context_of, hits_of, question
from heard import Heard
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.confidence.quoted import LogisticConfidence, Signals
from generation.tiers.extractive import MODEL, ExtractiveGenerator
from generation.writing.citing import NOT_FOUND
from rag.ports import Generator
from rag.types import Context, Generation, Hit, Piece, Usage

ASKED = question("How long do refunds take?")
PAGE = """# Refunds

Money goes back to the card. Refunds take five working days. Fees are kept.

## How to ask

Do you want your money back? To ask for a refund you need:

- the number of the order,
- the receipt.

Then write to us. Run this command:

```
refund --order 17
```

Wait for the answer of our team.
"""


def sure(max_quotes: int = 3) -> ExtractiveGenerator:
    """Never abstains from what it can quote."""
    return ExtractiveGenerator(LogisticConfidence(5.0, {}), 0.35, max_quotes)


async def answered(
    text: str,
    scores: Mapping[str, float],
    max_quotes: int = 3,
    page_starts: tuple[int, ...] = (),
) -> Generation:
    hits = hits_of(chunks_of(text, page_starts=page_starts), scores)
    return await sure(max_quotes).generate(ASKED, hits, context_of(hits), Heard())


def quotes(generation: Generation) -> list[str]:
    return [citation.quote for citation in generation.citations]


class TestWhatIsQuoted:
    async def test_the_best_sentence_alone(self) -> None:
        generation = await answered(PAGE, {"Refunds take": 0.9}, max_quotes=1)
        assert quotes(generation) == ["Refunds take five working days."]
        assert generation.text == "Refunds take five working days. [1]"
        assert not generation.abstained

    async def test_quotes_are_exact_spans_of_the_document(self) -> None:
        scores = {"Refunds take": 0.9, "Then write": 0.8, "Wait for": 0.7}
        generation = await answered(PAGE, scores)
        assert len(generation.citations) == 3
        for citation in generation.citations:
            assert PAGE[citation.start : citation.end] == citation.quote

    async def test_a_lead_in_pulls_its_list(self) -> None:
        (quote,) = quotes(await answered(PAGE, {"To ask": 0.9}, max_quotes=1))
        assert quote.startswith("To ask for a refund you need:")
        assert "- the receipt." in quote

    async def test_a_lead_in_pulls_its_code_and_nothing_after_it(self) -> None:
        (quote,) = quotes(await answered(PAGE, {"Run this": 0.9}, max_quotes=1))
        assert quote == "Run this command:\n\n```\nrefund --order 17\n```"

    async def test_a_lead_in_stops_before_a_heading(self) -> None:
        text = "Prices are as follows:\n\n- ten euros a month\n\n## Another thing\n\nNot about it."
        (quote,) = quotes(await answered(text, {"Prices": 0.9}, max_quotes=1))
        assert quote == "Prices are as follows:\n\n- ten euros a month"

    async def test_a_lead_in_pulls_no_book(self) -> None:
        items = "\n".join(f"- item number {n} of a list that goes on and on" for n in range(40))
        (quote,) = quotes(
            await answered(f"You will need:\n\n{items}\n", {"You": 0.9}, max_quotes=1)
        )
        assert quote.startswith("You will need:\n\n- item number 0")
        assert len(quote) <= 700

    @pytest.mark.parametrize("marker", ["- ", "* ", "12. ", "3) "])
    async def test_a_single_item_is_quoted_without_its_marker(self, marker: str) -> None:
        text = f"{marker}Refunds take five working days.\n"
        generation = await answered(text, {"Refunds": 0.9}, max_quotes=1)
        assert quotes(generation) == ["Refunds take five working days."]
        assert generation.citations[0].start == len(marker)

    async def test_headings_are_not_quoted(self) -> None:
        generation = await answered(PAGE, {"# Refunds": 0.99, "## How to ask": 0.99})
        assert not any(line.startswith("#") for q in quotes(generation) for line in q.split("\n"))

    async def test_a_heading_speaks_for_the_sentence_below_it(self) -> None:
        text = "## Opening hours\n\nFrom nine to five.\n\nWe are glad to see you soon."
        (quote,) = quotes(await answered(text, {"## Opening": 0.9}, max_quotes=1))
        assert quote == "From nine to five."

    async def test_a_better_hit_outweighs_a_somewhat_better_cosine(self) -> None:
        chunks = chunks_of("Cards are charged at once.", "a") + chunks_of("It takes days.", "b")
        scores = {"Cards": 0.5, "It takes": 0.6}
        for hit_scores, first in (((0.8, 0.5), "Cards are"), ((0.8, 0.79), "It takes")):
            hits = hits_of(chunks, scores, hit_scores)
            generation = await sure(1).generate(question("Mars?"), hits, context_of(hits), Heard())
            assert quotes(generation)[0].startswith(first)

    async def test_questions_are_not_quoted(self) -> None:
        generation = await answered(PAGE, {"Do you want": 0.99})
        assert "Do you want your money back?" not in generation.text

    @pytest.mark.parametrize("asked", ["您需要退款多少钱呢？", "هل تريد استرداد أموالك؟"])
    async def test_nor_those_with_other_marks(self, asked: str) -> None:
        assert quotes(await answered(f"{asked}\n\nIt takes five days.", {asked: 0.9})) == [
            "It takes five days."
        ]

    async def test_two_words_say_nothing(self) -> None:
        generation = await answered("Very good. It takes five days.", {"Very": 0.99})
        assert quotes(generation) == ["It takes five days."]

    async def test_at_most_so_many_quotes(self) -> None:
        text = "\n\n".join(f"Sentence number {n} stands here.\n\nYes." for n in range(9))
        for most in (1, 2, 5):
            generation = await answered(text, {"Sentence": 0.5}, max_quotes=most)
            assert len(generation.citations) == most

    async def test_only_what_is_in_the_context(self) -> None:
        hits = hits_of(chunks_of(PAGE), {"Refunds take": 0.9, "Wait": 0.8})
        chunk = hits[0].chunk
        start = PAGE.index("Wait for")
        context = Context((Piece(hits[0], start, len(PAGE.rstrip())),), "", 1)
        generation = await sure().generate(ASKED, hits, context, Heard())
        assert quotes(generation) == ["Wait for the answer of our team."]
        assert chunk.slice(chunk.sentences[0]) == "# Refunds"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("没有收据不能退款。请保留收据三十天。", "没有收据不能退款。"),
            ("領収書がないと返金できません。", "領収書がないと返金できません。"),
        ],
    )
    async def test_languages_without_spaces_are_quoted_too(self, text: str, expected: str) -> None:
        generation = await answered(text, {expected[:4]: 0.9}, max_quotes=1)
        assert quotes(generation) == [expected]


class TestNeighbours:
    TEXT = "First one is here. Second one is here. Third one is here. Fourth one is here."

    async def test_two_neighbours_are_one_quote(self) -> None:
        generation = await answered(self.TEXT, {"First": 0.9, "Second": 0.8}, max_quotes=2)
        assert quotes(generation) == ["First one is here. Second one is here."]
        assert len(generation.citations) == 1

    async def test_in_whatever_order_they_rank(self) -> None:
        generation = await answered(self.TEXT, {"Second": 0.9, "First": 0.8}, max_quotes=2)
        assert quotes(generation) == ["First one is here. Second one is here."]

    async def test_one_between_two_joins_all_three(self) -> None:
        scores = {"First": 0.9, "Third": 0.8, "Second": 0.7}
        generation = await answered(self.TEXT, scores)
        assert quotes(generation) == ["First one is here. Second one is here. Third one is here."]

    async def test_a_list_and_its_items_are_quoted_once(self) -> None:
        """The lead-in ranks behind two of its own items."""
        text = "Bring these things:\n\n- the big receipt\n- a card of yours\n- the small parcel\n"
        scores = {"- the big": 0.9, "- the small": 0.8, "Bring": 0.7}
        assert quotes(await answered(text, scores)) == [text.strip()]

    async def test_a_gap_keeps_them_apart(self) -> None:
        generation = await answered(self.TEXT, {"First": 0.9, "Third": 0.8}, max_quotes=2)
        assert quotes(generation) == ["First one is here.", "Third one is here."]


class TestCitations:
    async def test_markers_in_the_text_are_those_of_the_citations(self) -> None:
        generation = await answered(PAGE, {"Refunds take": 0.9, "Then": 0.8, "Wait": 0.7})
        markers = [int(found) for found in re.findall(r"\[(\d+)\]", generation.text)]
        assert markers == [citation.marker for citation in generation.citations] == [1, 2, 3]
        for citation, part in zip(generation.citations, generation.text.split("\n\n"), strict=True):
            assert part == f"{citation.quote} [{citation.marker}]"

    async def test_they_say_where(self) -> None:
        (citation,) = (await answered(PAGE, {"Refunds take": 0.9}, max_quotes=1)).citations
        assert (citation.document_id, citation.title, citation.source) == ("doc", "Help", "doc.md")
        assert citation.page is None

    async def test_the_page_is_that_of_the_quote_and_not_of_its_chunk(self) -> None:
        text = "Page one says this.\nPage two says that.\nPage three ends it."
        starts = (0, text.index("Page two"), text.index("Page three"))
        for number, name in enumerate(("one", "two", "three"), start=1):
            generation = await answered(text, {f"Page {name}": 0.9}, 1, page_starts=starts)
            assert [citation.page for citation in generation.citations] == [number]

    async def test_it_costs_nothing_and_says_who_wrote_it(self) -> None:
        generation = await answered(PAGE, {"Refunds take": 0.9})
        assert (generation.tier, generation.model) == ("extractive", MODEL)
        assert generation.usage == Usage()


class TestAbstention:
    @pytest.mark.parametrize("threshold", [0.0, 0.35, 1.0])
    async def test_an_empty_context_abstains_with_no_confidence(self, threshold: float) -> None:
        generator: Generator = ExtractiveGenerator(LogisticConfidence.bundled(), threshold)
        generation = await generator.generate(ASKED, [], Context((), "", 0), Heard())
        assert generation.abstained
        assert (generation.text, generation.citations) == (NOT_FOUND, ())
        assert generation.confidence == 0

    async def test_a_context_with_nothing_to_quote_abstains(self) -> None:
        hits = hits_of(chunks_of("# A heading\n\nWhy? No."), {"#": 0.99})
        generation = await sure().generate(ASKED, hits, context_of(hits), Heard())
        assert generation.abstained
        assert generation.confidence == 0

    @pytest.mark.parametrize(
        ("logit", "threshold", "abstains"),
        [(0.0, 0.5, False), (0.0, 0.51, True), (5.0, 0.35, False), (-5.0, 0.35, True)],
    )
    async def test_below_the_threshold_and_not_at_it(
        self, logit: float, threshold: float, abstains: bool
    ) -> None:
        hits = hits_of(chunks_of(PAGE), {"Refunds take": 0.9})
        generator = ExtractiveGenerator(LogisticConfidence(logit, {}), threshold)
        generation = await generator.generate(ASKED, hits, context_of(hits), Heard())
        assert generation.abstained is abstains
        assert bool(generation.citations) is not abstains
        assert (generation.text == NOT_FOUND) is abstains

    async def test_a_question_without_a_word_is_no_error(self) -> None:
        hits = hits_of(chunks_of(PAGE), {})
        generation = await sure().generate(question("???"), hits, context_of(hits), Heard())
        assert 0 <= generation.confidence <= 1


async def test_a_sentence_of_which_the_context_holds_a_clause_is_quoted_whole() -> None:
    text = (
        "Refunds take five working days when the card that paid is still valid, but they take "
        "two weeks when the bank has to be asked, or when the order was paid by invoice."
    )
    hits = hits_of(chunks_of(text), {"Refunds": 0.9})
    context = context_of(hits, max_tokens=30)
    assert context.pieces
    assert text not in context.text
    assert quotes(await sure().generate(ASKED, hits, context, Heard())) == [text]


class TestSignals:
    def signals(self, hits: Sequence[Hit], asked: str) -> Signals:
        _, signals = sure().quote(question(asked), hits, context_of(hits))
        assert signals is not None
        return signals

    def test_by_hand(self) -> None:
        chunks = chunks_of("Refunds take five days.", "a") + chunks_of("Parking is free here.", "b")
        hits = hits_of(chunks, {"Refunds": 0.8, "Parking": 0.2}, dense_score=0.7)
        signals = self.signals(hits, "How long do refunds take on Mars?")
        assert signals.quote_cosine == pytest.approx(0.8)
        assert signals.sparse_score == pytest.approx(0.4)

    def test_the_share_of_words_is_the_best_of_all_hits(self) -> None:
        chunks = chunks_of("Refunds take five days.", "a") + chunks_of("Parking is free here.", "b")
        hits = hits_of(chunks, {"Refunds": 0.8}, sparse_scores=(0.3, 0.7))
        assert self.signals(hits, "How long do refunds take?").sparse_score == 0.7
        assert self.signals(hits[:1], "How long do refunds take?").sparse_score == 0.3


WORDS = st.sampled_from(
    "refund card days: free? office # - ``` 日本語。 naïve 3.14 \n\n \n | e.g.".split(" ")
)


@settings(max_examples=60)
@given(
    st.lists(WORDS, min_size=1, max_size=120).map(" ".join),
    st.integers(1, 400),
    st.randoms(use_true_random=False),
)
async def test_any_text_is_quoted_word_for_word(text: str, budget: int, chooser: object) -> None:
    chunks = chunks_of(text, chunk_tokens=64)
    hits = [
        Hit(chunk, 0.5, 0.5, 1.0, tuple(chooser.random() for _ in chunk.sentences))  # type: ignore[attr-defined]
        for chunk in chunks
    ]
    generation = await sure().generate(ASKED, hits, context_of(hits, budget), Heard())
    spans = sorted((citation.start, citation.end) for citation in generation.citations)
    for start, end in spans:
        assert start < end
    for citation in generation.citations:
        assert text[citation.start : citation.end] == citation.quote == citation.quote.strip()
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
