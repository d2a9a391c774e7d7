"""A question's normal form: what changes no answer is taken away, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.reuse.normal import normalised

SAME = [
    ("What's the limit?", "what is the limit"),
    ("  How do I  reset it ?!", "how do i reset it"),
    ("Hello, could you please tell me: what is the limit, please?", "what is the limit"),
    ("Hi there! Can I pay? Many thanks!", "can i pay"),
    ("I’m sure it doesn’t work", "I am sure it does not work."),
    ('"Can I pay?"', "can I pay"),
    ("Why can't I pay?", "Why cannot I pay?"),
    ("How do I pay, if you don't mind?", "How do I pay?"),
]
DIFFERENT = [
    ("What is C?", "What is C++?"),
    ("What is C#?", "What is C++?"),
    ("Is it 5 degrees?", "Is it -5 degrees?"),
    ("Is it 3.5?", "Is it 35?"),
    ("What is 5?", "What is 5!"),
    ("Is it open 24/7?", "Is it open 247?"),
    ("How do I say please?", "How do I say thank you?"),
    ("Can I pay?", "Can't I pay?"),
    ("What is .env?", "What is env?"),
    ("Is 5% enough?", "Is 5 enough?"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_manners_and_signs_make_no_other_question(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_signs_that_say_something_stay(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize("question", ["Please!", "Thanks", "Can you help me?"])
def test_nothing_but_manners_is_left_as_it_is(question: str) -> None:
    assert normalised(question) != ""


@given(st.text(max_size=200))
def test_any_text_has_a_normal_form(text: str) -> None:
    found = normalised(text)
    assert found == found.strip()
    assert bool(found) == bool(text.strip()) or not text.isascii()
