"""Units: the sentences of the hits, each once, with what they need."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_hits import hit_of, hits_of

from compression.units import Unit, clause_units, sentence_units
from compression.usefulness import Part, signals
from rag.types import Hit, Question, Span

Rated = list[tuple[Part, float]]
LONG = (
    "The shop on the corner opened its doors to the public in the year 1987, "
    "after the town council had argued about the noise for several months."
)


def rated(hits: Sequence[Hit]) -> Rated:
    """The clauses of the hits, the first the least useful, each next by a hundredth more."""
    parts, _ = signals(Question("When?", "help"), hits)
    return [(part, number / 100) for number, part in enumerate(parts)]


def texts(units: Sequence[Unit]) -> list[str]:
    return [unit.text for unit in units]


class TestClauses:
    def test_each_by_itself_with_its_own_usefulness(self) -> None:
        given = rated([hit_of(f"It is so. {LONG}"), hit_of("Not so.", "b")])
        units = list(clause_units(given))
        assert texts(units) == [part.text for part, _ in given]
        assert texts(units)[0] == "It is so."
        assert [unit.usefulness for unit in units] == [0.0, 0.01, 0.02, 0.03]
        assert [unit.rank for unit in units] == [0, 0, 0, 1]
        assert all(unit.sentences == (unit.span,) for unit in units)


class TestSentences:
    def test_a_sentence_is_as_useful_as_the_best_of_its_clauses(self) -> None:
        units = list(sentence_units(rated([hit_of(f"It is so. {LONG} Not so.")])))
        assert texts(units) == ["It is so.", LONG, "Not so."]
        assert [unit.usefulness for unit in units] == [0.0, 0.02, 0.03]
        falling = [(part, 1 - usefulness) for part, usefulness in rated([hit_of(LONG)])]
        assert [unit.usefulness for unit in sentence_units(falling)] == [1.0]

    def test_and_so_is_a_unit_of_several(self) -> None:
        text = "## Hours\n\nFrom nine to five.\n\nBring these:\n\n- a card\n- a parcel"
        units = list(sentence_units(rated([hit_of(text)])))
        assert texts(units) == [text[: text.index("\n\nBring")], text[text.index("Bring") :]]
        assert [unit.usefulness for unit in units] == [0.01, 0.04]
        assert [len(unit.sentences) for unit in units] == [2, 3]

    def test_hits_do_not_reach_into_each_other(self) -> None:
        hits = hits_of(["Bring these:\n\n", "- a card\n- a parcel\n\n", "## Hours\n\n", "From 9."])
        units = list(sentence_units(rated(hits)))
        assert texts(units) == ["Bring these:", "- a card", "- a parcel", "## Hours", "From 9."]
        assert [unit.rank for unit in units] == [0, 1, 1, 2, 3]

    def test_nothing_makes_no_unit(self) -> None:
        assert list(sentence_units([])) == list(clause_units([])) == []
        assert list(sentence_units(rated([hit_of(" \n ")]))) == []

    def test_a_hit_without_a_sentence_between_two_others(self) -> None:
        hits = [hit_of("One is here.", "a"), hit_of(" ", "b"), hit_of("Two is here.", "c")]
        units = list(sentence_units(rated(hits)))
        assert [(unit.text, unit.rank) for unit in units] == [
            ("One is here.", 0),
            ("Two is here.", 2),
        ]

    def test_code_is_taken_with_the_sentence_before_it_but_only_behind_a_colon(self) -> None:
        code = "```\nrag ask\n```"
        assert len(list(sentence_units(rated([hit_of(f"Run this:\n\n{code}")])))) == 1
        assert len(list(sentence_units(rated([hit_of(f"Run this.\n\n{code}")])))) == 2

    @pytest.mark.parametrize("sentence", ["Take these: ", "Take these：", "Take these."])
    def test_a_list_without_an_announcement_is_single_items(self, sentence: str) -> None:
        announced = sentence.strip().endswith(":")
        units = list(sentence_units(rated([hit_of(f"{sentence}\n\n- a card\n- a parcel")])))
        assert len(units) == (1 if announced else 3)


class TestWhatBelongsTogether:
    """Taken together, whichever of its parts is the useful one."""

    def best(self, text: str, best: str) -> str:
        """The most useful unit, when only the sentence that begins with `best` is useful."""
        given = [(part, float(part.text.startswith(best))) for part, _ in rated([hit_of(text)])]
        assert sum(usefulness for _, usefulness in given) == 1
        [unit] = [unit for unit in sentence_units(given) if unit.usefulness == 1]
        return unit.text

    @pytest.mark.parametrize("best", ["## Hours", "From nine"])
    def test_a_heading_and_the_sentence_below_it(self, best: str) -> None:
        text = "Before it all.\n\n## Hours\n\nFrom nine to five. Closed on Sundays."
        assert self.best(text, best) == "## Hours\n\nFrom nine to five."

    def test_headings_on_headings(self) -> None:
        text = "# Shop\n\n## Hours\n\nFrom nine to five. Closed on Sundays."
        assert self.best(text, "# Shop") == "# Shop\n\n## Hours\n\nFrom nine to five."

    def test_a_heading_at_the_end_stands_alone(self) -> None:
        assert self.best("It is said.\n\n## Hours", "## Hours") == "## Hours"

    @pytest.mark.parametrize("best", ["Bring", "- the card"])
    def test_a_colon_and_its_list(self, best: str) -> None:
        text = "Come by.\n\nBring these:\n\n- the card\n- the parcel\n\nThen wait for us."
        assert self.best(text, best) == "Bring these:\n\n- the card\n- the parcel"

    @pytest.mark.parametrize(
        "announced",
        ["1. the card\n2. the parcel", "```\nrag ask\n```", "~~~\nrag ask\n~~~", "* a\n+ b"],
    )
    def test_a_colon_and_whatever_it_announces(self, announced: str) -> None:
        text = f"Come by. Take these:\n\n{announced}\n\nThen wait."
        assert self.best(text, "Take") == f"Take these:\n\n{announced}"

    def test_a_heading_a_colon_and_a_table(self) -> None:
        table = "| plan | price |\n|---|---|\n| small | 5 |\n| large | 9 |"
        text = f"## Prices\n\nThey are:\n\n{table}\n\nTaxes come on top."
        assert self.best(text, "## Prices") == f"## Prices\n\nThey are:\n\n{table}"

    def test_a_colon_announces_no_prose(self) -> None:
        assert self.best("Note this: it is so. And:\n\nAnother thing.", "And") == "And:"

    def test_a_long_list_is_not_pulled_whole(self) -> None:
        items = [f"- item number {n} of a list that goes on and on" for n in range(40)]
        taken = self.best("Take these:\n\n" + "\n".join(items), "Take")
        assert taken.startswith("Take these:\n\n- item number 0")
        assert len(taken) <= len("Take these:") + 400

    def test_the_head_of_a_table_and_its_first_row(self) -> None:
        head = "| plan | price |\n|---|---|"
        text = f"Our prices.\n\n{head}\n| small | 5 |\n| large | 9 |"
        assert self.best(text, "| small") == f"{head}\n| small | 5 |"
        assert self.best(text, "| large") == "| large | 9 |"


BLOCKS = st.sampled_from(
    [
        "## Hours",
        "# Top",
        "It is so. It is not so.",
        "Bring these:",
        "- a card\n- a parcel",
        "1. one\n2. two",
        "```\nrag ask\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
        "| a | b |\n|---|---|",
        "没有收据不能退款。请保留收据。",
        "هل تريد استرداد أموالك؟ نعم.",
        LONG,
        "🙂",
        "**Note:** see [this](https://example.com/a,b).",
    ]
)
TEXTS = st.lists(BLOCKS, max_size=8).map("\n\n".join)


@settings(max_examples=150)
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_units_hold_every_sentence_once_and_do_not_overlap(made: list[str]) -> None:
    hits = [hit_of(text, f"doc{number}") for number, text in enumerate(made)]
    given = rated(hits)
    units = list(sentence_units(given))
    for rank, hit in enumerate(hits):
        mine = [unit for unit in units if unit.rank == rank]
        assert [span for unit in mine for span in unit.sentences] == list(hit.chunk.sentences)
        ends = [hit.chunk.start, *(unit.span.end for unit in mine)]
        assert all(unit.span.start >= end for unit, end in zip(mine, ends, strict=False))
        for unit in mine:
            assert unit.text == unit.text.strip() != ""
            assert unit.span.start <= unit.sentences[0].start
            assert unit.span.end == unit.sentences[-1].end
    assert max((unit.usefulness for unit in units), default=0) == max(
        (usefulness for _, usefulness in given), default=0
    )


@given(TEXTS)
def test_between_two_units_there_is_nothing_but_white_space(text: str) -> None:
    """What is in no sentence, as the head of a table, goes with the one below it."""
    hit = hit_of(text)
    end = hit.chunk.start
    for unit in sentence_units(rated([hit])):
        assert not hit.chunk.slice(Span(end, unit.span.start)).strip()
        end = unit.span.end
