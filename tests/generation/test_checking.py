"""What is left of an answer: markers, quotes, links, language, and how sure one may be."""

from __future__ import annotations

import math
import re

import pytest
from contexts import chunks_of, hits_of
from hypothesis import given
from hypothesis import strategies as st

from generation.writing.checking import AT_MOST, Checked, check
from generation.writing.claims import claims_of
from generation.writing.excerpts import Excerpt, excerpts_of
from generation.writing.languages import contradict, language_of
from rag.calls import Finish
from rag.types import Context, Piece

ASKED = "How long does a refund take?"
REFUNDS = """# Refunds

Money goes back to the card. A refund takes five working days. Refunds above 1,000 euros need a
signature. You cannot cancel a refund.

| Plan | Monthly price |
|---|---|
| Basic | 10 euros |
| Pro | 20 euros |
"""
FEES = (
    "# Fees\n\nThe booking fee of 3 euros is kept. Stripe handles every payment. It never fails.\n"
)
LIKELY = [math.log(0.9)] * 40


def excerpts(*texts: str) -> list[Excerpt]:
    chunks = [chunk for n, text in enumerate(texts) for chunk in chunks_of(text, f"doc{n}")]
    pieces = tuple(Piece(hit, hit.chunk.start, hit.chunk.end) for hit in hits_of(chunks, {}))
    return excerpts_of(Context(pieces, "", 0))


def checked(answer: str, asked: str = ASKED, finish: Finish = "stop") -> Checked:
    return check(asked, answer, excerpts(REFUNDS, FEES), finish)


def quotes(result: Checked) -> list[str]:
    return [citation.quote for citation in result.citations]


class TestMarkers:
    def test_a_supported_marker_becomes_an_exact_citation(self) -> None:
        result = checked("A refund takes five working days [1].")
        assert result.text == "A refund takes five working days [1]."
        (citation,) = result.citations
        assert citation.quote == "A refund takes five working days."
        assert REFUNDS[citation.start : citation.end] == citation.quote
        assert (citation.document_id, citation.source) == ("doc0", "doc0.md")
        assert result.findings == ()

    @pytest.mark.parametrize(
        "marker",
        ["[1]", "[1, 2]", "[1][2]", "【1】", "【1†source】", "[^1]", "[Excerpt 1]", "[1-2]"],
    )
    def test_markers_in_the_ways_that_models_write_them(self, marker: str) -> None:
        result = checked(f"A refund takes five working days {marker}.")
        assert result.text == "A refund takes five working days [1]."
        assert len(result.citations) == 1

    def test_they_are_numbered_anew_in_order_of_appearance(self) -> None:
        result = checked("The booking fee is kept [2]. A refund takes five working days [1].")
        assert result.text == "The booking fee is kept [1]. A refund takes five working days [2]."
        assert [c.document_id for c in result.citations] == ["doc1", "doc0"]

    def test_one_quote_has_one_number(self) -> None:
        result = checked("A refund takes five days [1]. It takes five working days [1].")
        assert result.text.count("[1]") == 2
        assert len(result.citations) == 1

    @pytest.mark.parametrize("number", ["0", "3", "99", "2024"])
    def test_a_marker_that_points_at_nothing_is_dropped(self, number: str) -> None:
        result = checked(f"A refund takes five working days [{number}].")
        assert result.text == "A refund takes five working days."
        assert result.citations == ()
        assert result.confidence <= AT_MOST["uncited"]

    def test_one_of_two_that_supports_stays(self) -> None:
        result = checked("A refund takes five working days [2][1].")
        assert quotes(result) == ["A refund takes five working days."]

    def test_two_excerpts_may_support_a_sentence_together(self) -> None:
        said = "A refund takes five working days but the booking fee of 3 euros is kept [1][2]."
        result = checked(said)
        assert [c.document_id for c in result.citations] == ["doc0", "doc1"]

    @pytest.mark.parametrize(
        "said",
        [
            "[1] A refund takes five working days.",
            "According to [1], a refund takes five working days.",
            "A refund takes five working days.\n\n[1]",
            "A refund takes five working days. [1]",
        ],
    )
    def test_a_marker_may_stand_elsewhere(self, said: str) -> None:
        assert quotes(checked(said)) == ["A refund takes five working days."]

    def test_code_is_left_alone(self) -> None:
        result = checked("A refund takes five working days [1]: `days[2]`.")
        assert result.text == "A refund takes five working days [1]: `days[2]`."


class TestSupport:
    @pytest.mark.parametrize(
        "said",
        [
            "It takes 5 working days until a refund is done [1].",
            "Refunds of more than 1000 euros need a signature [1].",
            "A refund above €1,000 needs a signature [1].",
            "The monthly price of the Pro plan is 20 euros [1].",
            "A refund can't be cancelled [1].",
            "Payments are handled by Stripe [2].",
        ],
    )
    def test_other_words_for_the_same(self, said: str) -> None:
        assert checked(said).citations

    @pytest.mark.parametrize(
        "said",
        [
            "A refund takes 6 working days [1].",
            "A refund takes six working days [1].",
            "A refund takes ninety days [1].",
            "Refunds above 2,000 euros need a signature [1].",
            "The booking fee of 3 dollars is kept [2].",
            "The monthly price of the Team plan is 20 euros [1].",
            "Payments are handled by Adyen [2].",
            "A refund can be cancelled [1].",
            "A refund does not take five working days [1].",
            "Refunds above 1,000 euros need no signature [1].",
            "It always fails [2].",
            "Refunds are sent by mail to customers abroad [1].",
            "Yes [1].",
        ],
    )
    def test_other_numbers_names_and_nots(self, said: str) -> None:
        result = checked(said)
        assert result.citations == ()
        assert "[" not in result.text
        assert set(result.findings) >= {"unsupported marker", "uncited"}
        assert result.confidence <= AT_MOST["uncited"]

    def test_one_wrong_sentence_lowers_the_confidence_and_loses_its_marker(self) -> None:
        good = checked("A refund takes five working days [1].")
        mixed = checked("A refund takes five working days [1]. Pigeons deliver it by night [1].")
        assert mixed.text == ("A refund takes five working days [1]. Pigeons deliver it by night.")
        assert 0 < mixed.confidence < good.confidence

    def test_a_heading_is_no_evidence_by_itself(self) -> None:
        assert checked("Refunds [1].").citations == () or quotes(checked("Refunds [1]."))

    def test_an_answer_that_cites_nothing_is_not_passed_off_as_cited(self) -> None:
        result = checked("A refund takes five working days.")
        assert result.citations == ()
        assert 0 < result.confidence <= AT_MOST["uncited"]

    @pytest.mark.parametrize(
        ("page", "said", "wrong"),
        [
            (
                "Die Rückerstattung dauert fünf Werktage. Gebühren werden nicht erstattet.",
                "Gebühren werden nicht erstattet [1].",
                "Gebühren werden erstattet [1].",
            ),
            (
                "Le remboursement prend 5 jours. Les frais ne sont pas remboursés.",
                "Le remboursement prend cinq jours [1].",
                "Le remboursement prend 8 jours [1].",
            ),
            (
                "Возврат занимает 5 рабочих дней. Комиссия не возвращается.",
                "Возвраты занимают 5 рабочих дней [1].",
                "Комиссия возвращается [1].",
            ),
            ("退款需要5个工作日。定金不能退还。", "定金不能退还[1]。", "定金可以退还[1]。"),
            ("返金には5日かかります。", "返金には5日かかります[1]。", "返金には9日かかります[1]。"),
            ("يستغرق الاسترداد 5 أيام.", "الاسترداد يستغرق 5 أيام [1].", "الشحن مجاني دائما [1]."),
        ],
    )
    def test_other_languages(self, page: str, said: str, wrong: str) -> None:
        assert check("?", said, excerpts(page)).citations
        assert check("?", wrong, excerpts(page)).citations == ()

    def test_in_another_language_only_numbers_and_names_can_support(self) -> None:
        asked = "Ab welchem Betrag braucht eine Erstattung eine Unterschrift?"
        result = checked("Ab 1000 Euro braucht die Erstattung eine Unterschrift [1].", asked)
        assert quotes(result) == ["Refunds above 1,000 euros need a\nsignature."]
        assert result.findings == ("loose support",)
        assert result.confidence <= AT_MOST["loose support"]
        assert not checked("Das ist für alle Kunden immer kostenlos [1].", asked).citations


class TestWhatIsFound:
    @pytest.mark.parametrize(
        "answer",
        ["NO_ANSWER", "NO_ANSWER.", "**NO_ANSWER** [1]", "I cannot tell. NO_ANSWER", "No answer"],
    )
    def test_no_answer(self, answer: str) -> None:
        assert checked(answer) == Checked("", (), 0.0, ("no answer",))

    @pytest.mark.parametrize("answer", ["", " \n", "[1]", "...", "<think>hm</think>"])
    def test_an_empty_answer(self, answer: str) -> None:
        result = checked(answer)
        assert result.is_empty
        assert result.confidence == 0

    def test_a_refusal(self) -> None:
        assert checked("I cannot help.", finish="refused").findings == ("refused",)

    def test_an_answer_that_was_cut_off(self) -> None:
        result = checked("A refund takes five working days [1]. The", finish="length")
        assert "cut off" in result.findings
        assert result.citations
        assert result.confidence <= AT_MOST["cut off"]

    def test_thoughts_are_no_part_of_the_answer(self) -> None:
        result = checked("<think>The user asks [2].</think>\nA refund takes five days [1].")
        assert result.text == "A refund takes five days [1]."

    @pytest.mark.parametrize(
        ("asked", "answer"),
        [
            (ASKED, "Eine Erstattung dauert in der Regel fünf Tage und ist nicht umkehrbar."),
            (ASKED, "退款需要五个工作日才能完成。"),
            ("Wie lange dauert eine Erstattung?", "A refund takes five of the working days."),
            (
                "Сколько дней длится возврат денег на карту?",
                "It is done in five of the working days.",
            ),
        ],
    )
    def test_another_language_than_asked(self, asked: str, answer: str) -> None:
        result = checked(answer, asked)
        assert "other language" in result.findings
        assert result.confidence <= AT_MOST["other language"]

    @pytest.mark.parametrize(
        ("asked", "answer"),
        [
            (ASKED, "Five working days."),
            ("refund?", "Fünf Tage, und das ist nicht zu ändern."),
            ("Wie lange dauert SSO?", "OAuth, SAML, Okta."),
        ],
    )
    def test_what_is_not_clear_is_not_held_against_it(self, asked: str, answer: str) -> None:
        assert "other language" not in checked(answer, asked).findings

    def test_an_invented_quote(self) -> None:
        said = 'The page says "refunds are sent by pigeon at night" and takes five days [1].'
        assert "invented quote" in checked(said).findings

    @pytest.mark.parametrize(
        "quote",
        ['"a refund takes FIVE working days"', "“Money goes … to the card”", '"Cancel refund"'],
    )
    def test_quotes_that_stand_there_and_names_of_buttons(self, quote: str) -> None:
        assert "invented quote" not in checked(f"It says {quote} [1].").findings


class TestLinks:
    @pytest.mark.parametrize(
        ("written", "left"),
        [
            ("see ![logo](https://evil.example/p.png?q=1)", "see logo"),
            ("see ![x](relative.png)", "see x"),
            ("see [here](https://evil.example/?d=secret)", "see here"),
            ("see https://evil.example/x, now", "see , now"),
            ("see www.evil.example/x", "see"),
            ("see evil.example/x?q=1 now", "see  now"),
            ("see //evil.example/x", "see"),
            ("see <https://evil.example>", "see"),
            ('see <img src="https://evil.example/a">', "see"),
            ("see <a href=x>this</a>", "see this"),
            ("see [x](javascript:alert(1))", "see x)"),
            ("see [x][1]\n\n[1]: https://evil.example", "see [x]"),
            ("see data:text/html;base64,AAAA", "see"),
        ],
    )
    def test_what_was_not_given_is_taken_out(self, written: str, left: str) -> None:
        result = checked(f"A refund takes five working days [1]; {written}")
        assert result.text == f"A refund takes five working days [1]; {left}"
        assert "foreign link" in result.findings
        assert result.confidence <= AT_MOST["foreign link"]

    def test_an_address_that_was_given_stays(self) -> None:
        page = "Refunds are asked for at https://help.example/refund?x=1. See docs.example/a too."
        said = (
            "Refunds are asked for at https://help.example/refund?x=1 [1]. "
            "See [the page](https://help.example/refund?x=1), docs.example/a."
        )
        assert check(ASKED, said, excerpts(page)).text == said

    @pytest.mark.parametrize(
        "written",
        ["https://help.example/refund?x=2", "https://help.example/", "https://help.example/refund"],
    )
    def test_but_not_one_that_is_like_it(self, written: str) -> None:
        page = "Refunds are asked for at https://help.example/refund?x=1."
        result = check(ASKED, f"Refunds are asked for at {written} [1].", excerpts(page))
        assert "help.example" not in result.text

    @pytest.mark.parametrize("said", ["and/or", "9/10", "e.g. this", "a.b", "1.5", "x < y > z"])
    def test_ordinary_text_is_no_link(self, said: str) -> None:
        assert "foreign link" not in checked(f"It takes five working days {said} [1].").findings


class TestConfidence:
    def test_unlikely_tokens_lower_it_even_among_likely_ones(self) -> None:
        said, given = "A refund takes five working days [1].", excerpts(REFUNDS)
        likely = check(ASKED, said, given, "stop", LIKELY)
        unsure = check(ASKED, said, given, "stop", [*LIKELY[:30], *[math.log(0.2)] * 10])
        assert likely.confidence == pytest.approx(0.9)
        assert unsure.confidence == pytest.approx(0.2)

    def test_one_unlikely_token_of_many_does_not(self) -> None:
        said, given = "A refund takes five working days [1].", excerpts(REFUNDS)
        result = check(ASKED, said, given, "stop", [*LIKELY, math.log(0.01)])
        assert result.confidence == pytest.approx(0.9)

    @given(st.text(max_size=80), st.lists(st.floats(-50, 0), max_size=5))
    def test_it_is_a_probability_whatever_was_written(self, answer: str, logs: list[float]) -> None:
        result = check(ASKED, answer, excerpts(FEES), "stop", logs)
        assert 0 <= result.confidence <= 1


@given(st.text(alphabet="ab [](){}12,.!?\n`【】-ß。", max_size=80))
def test_claims_lose_nothing(answer: str) -> None:
    assert "".join(claim.text + claim.markers for claim in claims_of(answer)) == answer


@given(
    st.lists(
        st.sampled_from(
            [
                "A refund takes five working days",
                "Stripe handles every payment",
                "Pigeons fly",
                " [1]",
                "[2]",
                " [7]",
                ". ",
                "\n",
                "`x[1]`",
                "https://evil.example/x",
            ]
        ),
        max_size=12,
    )
)
def test_every_marker_that_is_left_has_its_citation(parts: list[str]) -> None:
    result = checked("".join(parts))
    markers = re.findall(r"\[(\d+)\]", re.sub(r"`[^`]*`", "", result.text))
    assert sorted({int(marker) for marker in markers}) == [c.marker for c in result.citations]
    for citation in result.citations:
        page = REFUNDS if citation.document_id == "doc0" else FEES
        assert page[citation.start : citation.end] == citation.quote
    if not result.citations:
        assert result.confidence <= AT_MOST["uncited"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I get my money back when it is late?", "en"),
        ("Wie bekomme ich mein Geld, wenn es nicht kommt?", "de"),
        ("Comment puis-je récupérer mon argent avec une carte ?", "fr"),
        ("¿Cómo puedo recuperar el dinero de la tarjeta?", "es"),
        ("Come posso avere il rimborso della carta?", "it"),
        ("Como posso receber o dinheiro do cartão?", "pt"),
        ("Hoe krijg ik het geld van de kaart?", "nl"),
        ("Jak mogę dostać zwrot na kartę po tym jak się nie udało?", "pl"),
        ("Сколько рабочих дней занимает возврат, если это был перевод?", "ru"),
        ("Скільки днів триває повернення і хто його робить?", "uk"),
        ("返金にはどのくらいかかりますか", "ja"),
        ("退款需要多长时间", "zh"),
        ("환불은 시간이 얼마나 걸리나요", "ko"),
        ("كم يوما يستغرق الاسترداد عادة", "ar"),
        ("Visa Mastercard", None),
        ("12345", None),
    ],
)
def test_languages(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("en", "de", True),
        ("ru", "en", True),
        ("zh", "en", True),
        ("zh", "ja", True),
        ("no", "da", False),
        ("es", "pt", False),
        (None, "en", False),
        ("en", "en", False),
    ],
)
def test_what_contradicts(left: str | None, right: str | None, expected: bool) -> None:
    assert contradict(left, right) is contradict(right, left) is expected
