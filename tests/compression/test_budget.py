"""The budget: a wall, and what goes into the context before it is reached."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_hits import hit_of, hits_of

from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from rag.ports import Compressor
from rag.types import Context, Hit, Question

QUESTION = Question("How long do refunds take?", "help")
COUNTER = TiktokenCounter()
COMPRESSOR: Compressor = BudgetCompressor(COUNTER)
GAP = " … "

REFUNDS = "Refunds take five working days. They go to the card that paid. Fees are not returned."
SHIPPING = "Shipping is free above fifty euros. A parcel takes three days to arrive."
OFFICE = "The office is open on weekdays only. Parking is behind the building."


def compress(hits: Sequence[Hit], max_tokens: int = 1_000) -> Context:
    return COMPRESSOR.compress(QUESTION, hits, max_tokens)


def tokens_of(*texts: str) -> int:
    """The smallest budget into which the context of these whole texts fits."""
    hits = [hit_of(text, f"doc{n}") for n, text in enumerate(texts)]
    return compress(hits).tokens + 2 * len(hits)  # the blank lines between them


def documents_of(hits: Sequence[Hit]) -> dict[str, str]:
    """The texts that these chunks are of, filled with `\\0` where no chunk is known."""
    ends = {hit.chunk.document_id: 0 for hit in hits}
    for hit in hits:
        ends[hit.chunk.document_id] = max(ends[hit.chunk.document_id], hit.chunk.end)
    texts = {name: ["\0"] * end for name, end in ends.items()}
    for hit in hits:
        texts[hit.chunk.document_id][hit.chunk.start : hit.chunk.end] = hit.chunk.text
    return {name: "".join(characters) for name, characters in texts.items()}


def assert_spans_are_exact(context: Context, hits: Sequence[Hit]) -> None:
    texts = documents_of(hits)
    for piece in context.pieces:
        chunk = piece.hit.chunk
        assert chunk.start <= piece.start < piece.end <= chunk.end
        assert texts[chunk.document_id][piece.start : piece.end] == piece.text
        assert piece.text == piece.text.strip() != ""
        assert piece.text in context.text


WORDS = st.sampled_from(
    "refund card days free office parcel <|endoftext|> naïve 日本語 🙂 `code` e.g. 3.14 #1".split()
)
SENTENCES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join).map(lambda s: s + ".")
BLOCKS = st.one_of(
    st.lists(SENTENCES, min_size=1, max_size=4).map(" ".join),
    SENTENCES.map(lambda s: f"## {s}"),
    st.lists(SENTENCES, min_size=1, max_size=3).map(
        lambda items: "\n".join(f"- {i}" for i in items)
    ),
    st.just("```\nrag ingest docs\n```"),
    st.just("没有收据不能退款。请保留收据。"),
)
CHUNKS = st.lists(BLOCKS, min_size=1, max_size=4).map(lambda blocks: "\n\n".join(blocks) + "\n\n")


@st.composite
def ranked_hits(draw: st.DrawFn) -> list[Hit]:
    """The chunks of up to three documents, in any order, some left out."""
    hits: list[Hit] = []
    for number in range(draw(st.integers(1, 3))):
        prefix = draw(st.sampled_from(["", "Title", "A longer title > With a heading"]))
        texts = draw(st.lists(CHUNKS, min_size=1, max_size=4))
        hits += hits_of(texts, f"doc{number}", prefix)
    shuffled = draw(st.permutations(hits))
    return shuffled[: draw(st.integers(1, len(shuffled)))]


class TestAnyBudget:
    @settings(max_examples=100)
    @given(ranked_hits(), st.integers(1, 300))
    def test_never_above_the_budget_and_counted_exactly(self, hits: list[Hit], budget: int) -> None:
        context = compress(hits, budget)
        assert context.tokens == COUNTER.count(context.text) <= budget
        assert_spans_are_exact(context, hits)
        assert bool(context.pieces) == bool(context.text)
        spans = [(p.hit.chunk.document_id, p.start, p.end) for p in context.pieces]
        assert len(set(spans)) == len(spans)

    @settings(max_examples=30)
    @given(ranked_hits())
    def test_with_room_for_all_nothing_new_is_lost(self, hits: list[Hit]) -> None:
        context = compress(hits, 100_000)
        kept = " ".join(" ".join(piece.text.split()) for piece in context.pieces)
        for hit in hits:
            for sentence in hit.chunk.sentences:
                assert " ".join(hit.chunk.slice(sentence).split()) in kept

    @settings(max_examples=30)
    @given(ranked_hits(), st.integers(1, 300))
    def test_the_same_twice(self, hits: list[Hit], budget: int) -> None:
        assert compress(hits, budget) == compress(hits, budget)

    @pytest.mark.parametrize("budget", range(1, 60))
    def test_from_one_token_up(self, budget: int) -> None:
        context = compress([hit_of(REFUNDS), hit_of(SHIPPING, "other")], budget)
        assert context.tokens == COUNTER.count(context.text) <= budget

    def test_no_hits(self) -> None:
        assert compress([]) == Context((), "", 0)

    def test_a_budget_too_small_for_any_sentence(self) -> None:
        assert compress([hit_of(REFUNDS)], 3) == Context((), "", 0)

    def test_a_chunk_of_white_space_is_nothing(self) -> None:
        assert compress([hit_of(" \n\n ")]) == Context((), "", 0)


class TestOrder:
    def test_whole_chunks_in_order_of_rank(self) -> None:
        context = compress([hit_of(SHIPPING, "a"), hit_of(REFUNDS, "b")])
        assert context.text == f"[1] Title\n{SHIPPING}\n\n[2] Title\n{REFUNDS}"
        assert [piece.text for piece in context.pieces] == [SHIPPING, REFUNDS]

    def test_without_a_prefix_the_label_stands_alone(self) -> None:
        assert compress([hit_of(SHIPPING, prefix="")]).text == f"[1]\n{SHIPPING}"

    def test_a_chunk_that_fits_goes_in_whole(self) -> None:
        context = compress([hit_of(REFUNDS, "a"), hit_of(SHIPPING, "b")], tokens_of(REFUNDS) + 1)
        assert context.pieces[0].text == REFUNDS

    def test_of_a_chunk_that_does_not_fit_the_best_sentences_go_in(self) -> None:
        scores = [0.1, 0.9, 0.2]
        hits = [hit_of(SHIPPING, "a"), hit_of(REFUNDS, "b", scores=scores)]
        best = "They go to the card that paid."
        context = compress(hits, tokens_of(SHIPPING, best))
        assert [piece.text for piece in context.pieces] == [SHIPPING, best]

    def test_picked_sentences_stand_in_reading_order_with_a_gap_between(self) -> None:
        scores = [0.8, 0.1, 0.9]
        first, last = "Refunds take five working days.", "Fees are not returned."
        context = compress([hit_of(REFUNDS, scores=scores)], tokens_of(first + GAP + last))
        assert context.text == f"[1] Title\n{first}{GAP}{last}"

    def test_picked_neighbours_have_no_gap_between(self) -> None:
        scores = [0.9, 0.8, 0.1]
        both = "Refunds take five working days. They go to the card that paid."
        context = compress([hit_of(REFUNDS, scores=scores)], tokens_of(both))
        assert context.text == f"[1] Title\n{both}"

    def test_a_small_chunk_behind_one_that_does_not_fit_is_not_forgotten(self) -> None:
        huge = "Nothing in this sentence is short enough to be put anywhere at all " * 30 + "."
        context = compress([hit_of(huge, "a"), hit_of(SHIPPING, "b")], tokens_of(SHIPPING) + 5)
        assert [piece.text for piece in context.pieces] == [SHIPPING]


class TestDuplicates:
    def test_a_sentence_of_two_documents_is_sent_once(self) -> None:
        notice = "Prices include the value added tax."
        hits = [hit_of(f"{notice} {SHIPPING}", "a"), hit_of(f"{OFFICE} {notice}", "b")]
        context = compress(hits)
        assert context.text.count(notice) == 1
        assert [piece.text for piece in context.pieces] == [f"{notice} {SHIPPING}", OFFICE]

    def test_one_taken_from_the_middle_leaves_a_gap(self) -> None:
        notice = "Prices include the value added tax."
        first, last = "The office is open on weekdays only.", "Parking is behind the building."
        hits = [hit_of(notice, "a"), hit_of(f"{first} {notice} {last}", "b")]
        context = compress(hits)
        assert context.text.endswith(f"[2] Title\n{first}{GAP}{last}")
        assert [piece.text for piece in context.pieces] == [notice, first, last]

    def test_white_space_makes_no_difference(self) -> None:
        hits = [hit_of(OFFICE, "a"), hit_of(OFFICE.replace(" ", "\n"), "b")]
        assert [piece.hit.chunk.document_id for piece in compress(hits).pieces] == ["a"]

    def test_a_chunk_that_is_all_known_gets_no_label(self) -> None:
        hits = [hit_of(OFFICE, "a"), hit_of(OFFICE, "b"), hit_of(SHIPPING, "c")]
        assert compress(hits).text == f"[1] Title\n{OFFICE}\n\n[2] Title\n{SHIPPING}"

    def test_short_sentences_may_stand_twice(self) -> None:
        hits = [hit_of(f"Is it free? Yes. {OFFICE}", "a"), hit_of("Is it open? Yes.", "b")]
        assert compress(hits).text.count("Yes.") == 2


class TestNeighbours:
    TEXTS = ("One comes first of all.\n\n", "Two follows upon it.\n\n", "Three ends the series.")
    WHOLE = "".join(TEXTS)

    def test_side_by_side_they_are_one_passage_in_reading_order(self) -> None:
        one, two, _ = hits_of(self.TEXTS)
        for order in ([one, two], [two, one]):
            assert compress(order).text == f"[1] Title\n{(self.TEXTS[0] + self.TEXTS[1]).strip()}"

    @pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 0, 2), (2, 1, 0)])
    def test_in_whatever_order_they_are_found(self, order: Sequence[int]) -> None:
        hits = hits_of(self.TEXTS)
        context = compress([hits[index] for index in order])
        assert context.text == f"[1] Title\n{self.WHOLE}"
        assert [piece.hit for piece in context.pieces] == hits

    def test_the_passage_stands_where_its_best_chunk_would(self) -> None:
        one, two, three = hits_of(self.TEXTS)
        other = hit_of(OFFICE, "other")
        text = compress([three, other, one, two]).text
        assert text == f"[1] Title\n{self.WHOLE}\n\n[2] Title\n{OFFICE}"

    def test_a_missing_chunk_keeps_them_apart(self) -> None:
        one, _, three = hits_of(self.TEXTS)
        text = compress([one, three]).text
        assert text == f"[1] Title\n{self.TEXTS[0].strip()}\n\n[2] Title\n{self.TEXTS[2]}"

    def test_those_of_two_documents_are_no_neighbours(self) -> None:
        one, _, _ = hits_of(self.TEXTS, "a")
        _, two, _ = hits_of(self.TEXTS, "b")
        assert "[2]" in compress([one, two]).text

    def test_a_part_of_a_neighbour_has_a_gap_before_it(self) -> None:
        texts = [f"{OFFICE}\n\n", f"Skip this sentence please. {SHIPPING}"]
        one, two = hits_of(texts, scores=[[0.5, 0.5], [0.1, 0.8, 0.9]])
        context = compress([one, two], tokens_of(OFFICE + GAP + SHIPPING) + 3)
        assert context.text == f"[1] Title\n{OFFICE}{GAP}{SHIPPING}"

    def test_chunks_cut_inside_a_word_are_joined_as_they_were(self) -> None:
        one, two = hits_of(["https://example.com/a-very-", "long-address and more."])
        text = compress([one, two]).text
        assert text == "[1] Title\nhttps://example.com/a-very-long-address and more."

    def test_sentences_with_no_space_between_have_no_gap_between(self) -> None:
        text = "没有收据不能退款。请保留收据。商店每天营业到晚上八点。周日商店关门休息一天。"
        hit = hit_of(text, scores=[0.9, 0.8, 0.1, 0.1])
        both = "没有收据不能退款。请保留收据。"
        context = compress([hit], tokens_of(both))
        assert context.text == f"[1] Title\n{both}"
