"""The budget: a wall, and what goes into the context before it is reached."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_hits import BY_COSINE, hit_of, hits_of

from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from rag.ports import Compressor
from rag.types import Context, Hit, Piece, Question

QUESTION = Question("How long do refunds take?", "help")
COUNTER = TiktokenCounter()
COMPRESSOR: Compressor = BudgetCompressor(COUNTER, BY_COSINE, min_usefulness=0)
USEFUL_ALONE: Compressor = BudgetCompressor(COUNTER, BY_COSINE, min_usefulness=0.1)
BUNDLED: Compressor = BudgetCompressor(COUNTER, Usefulness.bundled(), 0.06)
GAP = " … "

REFUNDS = "Refunds take five working days. They go to the card that paid. Fees are not returned."
SHIPPING = "Shipping is free above fifty euros. A parcel takes three days to arrive."
ENOUGH = " ".join(f"word{n}" for n in range(60)) + "."
"""A sentence of more than a hundred tokens."""
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
    @given(st.sampled_from([COMPRESSOR, BUNDLED]), ranked_hits(), st.integers(1, 300))
    def test_never_above_the_budget_and_counted_exactly(
        self, compressor: Compressor, hits: list[Hit], budget: int
    ) -> None:
        context = compressor.compress(QUESTION, hits, budget)
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
        one, other = (BUNDLED.compress(QUESTION, hits, budget) for _ in range(2))
        assert one == other

    @pytest.mark.parametrize("budget", range(1, 60))
    def test_from_one_token_up(self, budget: int) -> None:
        context = compress([hit_of(REFUNDS), hit_of(SHIPPING, "other")], budget)
        assert context.tokens == COUNTER.count(context.text) <= budget

    @pytest.mark.parametrize("budget", range(20, 60, 3))
    def test_white_space_between_sentences_counts_too(self, budget: int) -> None:
        hits = [hit_of(REFUNDS.replace(". ", "." + " \n\t" * 50))]
        context = compress(hits, budget)
        assert 0 < context.tokens == COUNTER.count(context.text) <= budget

    def test_no_hits(self) -> None:
        assert compress([]) == Context((), "", 0)

    def test_a_budget_too_small_for_any_sentence(self) -> None:
        assert compress([hit_of(REFUNDS)], 3) == Context((), "", 0)

    def test_a_chunk_of_white_space_is_nothing(self) -> None:
        assert compress([hit_of(" \n\n ")]) == Context((), "", 0)


class TestOrder:
    def test_the_most_useful_passage_comes_first(self) -> None:
        hits = [hit_of(SHIPPING, "a", scores=[0.2, 0.3]), hit_of(OFFICE, "b", scores=[0.9, 0.1])]
        context = compress(hits)
        assert context.text == f"[1] Title\n{OFFICE}\n\n[2] Title\n{SHIPPING}"
        assert [piece.text for piece in context.pieces] == [OFFICE, SHIPPING]

    def test_of_equally_useful_ones_the_higher_rank_and_the_earlier_place_come_first(self) -> None:
        hits = [hit_of(SHIPPING, "a", scores=[0.5, 0.5]), hit_of(OFFICE, "b", scores=[0.5, 0.5])]
        assert [piece.text for piece in compress(hits).pieces] == [SHIPPING, OFFICE]
        first = "Shipping is free above fifty euros."
        assert compress(hits, tokens_of(first)).text == f"[1] Title\n{first}"

    def test_without_a_prefix_the_label_stands_alone(self) -> None:
        assert compress([hit_of(SHIPPING, prefix="")]).text == f"[1]\n{SHIPPING}"

    def test_the_best_sentences_go_in_whichever_hit_they_are_of(self) -> None:
        hits = [
            hit_of(SHIPPING, "a", scores=[0.2, 0.7]),
            hit_of(REFUNDS, "b", scores=[0.1, 0.9, 0.2]),
            hit_of(OFFICE, "c", scores=[0.3, 0.3]),
        ]
        best, second = "They go to the card that paid.", "A parcel takes three days to arrive."
        context = compress(hits, tokens_of(best, second) - 3)
        assert context.text == f"[1] Title\n{best}\n\n[2] Title\n{second}"

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

    def test_a_small_sentence_behind_one_that_does_not_fit_is_not_forgotten(self) -> None:
        huge = "Nothing in this sentence is short enough to be put anywhere at all " * 30 + "."
        context = compress([hit_of(huge, "a"), hit_of(SHIPPING, "b")], 200)
        assert [piece.text for piece in context.pieces] == [SHIPPING]


class TestMinUsefulness:
    """What is not likely to help is left out, once there is something to answer from."""

    HITS = (
        hit_of(ENOUGH, "enough", scores=[1.0]),
        hit_of(REFUNDS, "a", scores=[0.2, 0.9, 0.5]),
        hit_of(OFFICE, "b", scores=[0.3, 0.1]),
    )

    def kept(self, min_usefulness: float) -> list[str]:
        compressor = BudgetCompressor(COUNTER, BY_COSINE, min_usefulness)
        first, *others = compressor.compress(QUESTION, self.HITS, 1_000).pieces
        assert first.text == ENOUGH
        return [piece.text for piece in others]

    def test_what_is_too_unlikely_to_help_is_left_out_with_room_to_spare(self) -> None:
        assert self.kept(0.4) == ["They go to the card that paid. Fees are not returned."]

    def test_what_is_just_as_useful_stays(self) -> None:
        assert self.kept(0.5) == self.kept(0.4)
        assert self.kept(0.5 + 1e-9) == ["They go to the card that paid."]

    def test_the_best_stays_however_unlikely(self) -> None:
        assert self.kept(1.0) == []

    def test_nothing_at_all_fills_the_budget(self) -> None:
        assert self.kept(0.0) == [REFUNDS, OFFICE]

    def test_a_context_of_few_tokens_leaves_nothing_out(self) -> None:
        compressor = BudgetCompressor(COUNTER, BY_COSINE, 1.0)
        context = compressor.compress(QUESTION, self.HITS[1:], 1_000)
        assert [piece.text for piece in context.pieces] == [REFUNDS, OFFICE]

    @settings(max_examples=30)
    @given(ranked_hits(), st.integers(1, 300))
    def test_a_higher_bar_lets_nothing_else_in(self, hits: list[Hit], budget: int) -> None:
        sent = [
            BudgetCompressor(COUNTER, Usefulness.bundled(), bar).compress(QUESTION, hits, budget)
            for bar in (0.0, 0.05, 0.2, 1.0)
        ]
        for more, less in pairwise(sent):
            assert all(any(covers(other, piece) for other in more.pieces) for piece in less.pieces)
            assert bool(more.pieces) == bool(less.pieces)


def covers(other: Piece, piece: Piece) -> bool:
    """Whether one piece holds another of the same hit."""
    return other.hit is piece.hit and other.start <= piece.start and piece.end <= other.end


class TestClauses:
    LONG = (
        "The shop on the corner opened its doors to the public in the year 1987, "
        "after the town council had argued about the noise for several months, "
        "and it closed them again when the owner of the building sold it to a bank."
    )

    def compress(self, budget: int, hits: Sequence[Hit] | None = None) -> Context:
        return BudgetCompressor(COUNTER, Usefulness.bundled(), 0).compress(
            Question("When did the shop open?", "help"), hits or [hit_of(self.LONG)], budget
        )

    def test_a_small_budget_takes_parts_of_a_sentence(self) -> None:
        context = self.compress(40)
        assert 0 < context.tokens <= 40
        assert_spans_are_exact(context, [hit_of(self.LONG)])
        assert not any(piece.text == self.LONG for piece in context.pieces)

    @pytest.mark.parametrize("budget", [149, 150])
    def test_parts_that_all_fit_are_the_sentence_again(self, budget: int) -> None:
        assert self.compress(budget).text == f"[1] Title\n{self.LONG}"

    def test_from_150_tokens_sentences_are_whole(self) -> None:
        texts = [self.LONG.replace("1987", str(1900 + n)) for n in range(9)]
        hits = [hit_of(text, f"doc{n}") for n, text in enumerate(texts)]
        assert {piece.text for piece in self.compress(150, hits).pieces} <= set(texts)
        assert not {piece.text for piece in self.compress(149, hits).pieces} <= set(texts)

    def test_where_no_whole_sentence_fits_a_part_is_better_than_nothing(self) -> None:
        endless = " ".join([self.LONG[:-1]] * 5) + "."
        context = self.compress(160, [hit_of(endless)])
        assert 0 < context.tokens <= 160


class TestDuplicates:
    def test_a_sentence_of_two_documents_is_sent_once(self) -> None:
        notice = "Prices include the value added tax."
        hits = [hit_of(f"{notice} {SHIPPING}", "a"), hit_of(f"{OFFICE} {notice}", "b")]
        context = compress(hits)
        assert context.text.count(notice) == 1
        assert [piece.text for piece in context.pieces] == [f"{notice} {SHIPPING}", OFFICE]

    def test_it_is_sent_where_it_is_most_useful(self) -> None:
        notice = "Prices include the value added tax."
        hits = [hit_of(notice, "a", scores=[0.5]), hit_of(notice, "b", scores=[0.6])]
        assert [piece.hit.chunk.document_id for piece in compress(hits).pieces] == ["b"]

    def test_one_left_out_of_the_middle_leaves_a_gap(self) -> None:
        notice = "Prices include the value added tax."
        first, last = "The office is open on weekdays only.", "Parking is behind the building."
        hits = [
            hit_of(notice, "a", scores=[0.9]),
            hit_of(f"{first} {notice} {last}", "b", scores=[0.8] * 3),
        ]
        context = compress(hits)
        assert context.text == f"[1] Title\n{notice}\n\n[2] Title\n{first}{GAP}{last}"
        assert [piece.text for piece in context.pieces] == [notice, first, last]

    def test_white_space_makes_no_difference(self) -> None:
        hits = [hit_of(OFFICE, "a"), hit_of(OFFICE.replace(" ", "\n"), "b")]
        assert [piece.hit.chunk.document_id for piece in compress(hits).pieces] == ["a"]

    def test_a_chunk_that_is_all_known_gets_no_label(self) -> None:
        hits = [hit_of(OFFICE, "a"), hit_of(OFFICE, "b"), hit_of(SHIPPING, "c", scores=[0.5, 0.5])]
        assert compress(hits).text == f"[1] Title\n{OFFICE}\n\n[2] Title\n{SHIPPING}"

    def test_short_sentences_may_stand_twice(self) -> None:
        hits = [hit_of(f"Is it free? Yes. {OFFICE}", "a"), hit_of("Is it open? Yes.", "b")]
        assert compress(hits).text.count("Yes.") == 2

    def test_the_same_words_that_announce_another_list_are_no_duplicate(self) -> None:
        leads = "To get your money back you need:"
        hits = [hit_of(f"{leads}\n\n- a {item}", item) for item in ("receipt", "passport")]
        text = compress(hits).text
        assert "- a receipt" in text
        assert "- a passport" in text

    def test_and_one_that_announces_the_same_list_is(self) -> None:
        asked = "## Refunds\n\nTo get your money back you need:\n\n- a receipt"
        assert len(compress([hit_of(asked, "a"), hit_of(asked, "b")]).pieces) == 1

    def test_no_clause_is_sent_twice_either(self) -> None:
        hits = [hit_of(TestClauses.LONG, name) for name in "ab"]
        context = compress(hits, 140)
        assert [piece.text for piece in context.pieces] == [TestClauses.LONG]


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
        texts = [f"{ENOUGH}\n\n", f"Skip this sentence please. {SHIPPING}"]
        one, two = hits_of(texts, scores=[[1.0], [0.0, 0.8, 0.9]])
        context = USEFUL_ALONE.compress(QUESTION, [one, two], 1_000)
        assert context.text == f"[1] Title\n{ENOUGH}{GAP}{SHIPPING}"

    def test_chunks_cut_inside_a_word_are_joined_as_they_were(self) -> None:
        one, two = hits_of(["https://example.com/a-very-", "long-address and more."])
        text = compress([one, two]).text
        assert text == "[1] Title\nhttps://example.com/a-very-long-address and more."

    def test_sentences_with_no_space_between_have_no_gap_between(self) -> None:
        text = "没有收据不能退款。请保留收据。商店每天营业到晚上八点。周日商店关门休息一天。"
        hits = [hit_of(ENOUGH, "enough"), hit_of(text, scores=[0.9, 0.8, 0.1, 0.1])]
        context = USEFUL_ALONE.compress(QUESTION, hits, 1_000)
        assert context.text.endswith("[2] Title\n没有收据不能退款。请保留收据。")
