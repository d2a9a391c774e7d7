"""Differences that no threshold sees are found, and harmless rewordings have none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.made_pairs.attacks import attacks
from benchmarks.made_pairs.rewordings import rewordings
from benchmarks.made_pairs.words import vocabulary
from generation.reuse.differences import MOST_WORDS, DifferenceKind, differences

DIFFERENT: list[tuple[DifferenceKind, str, str]] = [
    ("number", "Can I add 3 users?", "Can I add 4 users?"),
    ("number", "Can I add 25 users?", "Can I add twenty-six users?"),
    ("number", "What changed in HTTP/1?", "What changed in HTTP/2?"),
    ("number", "Does it run on GPT-3?", "Does it run on GPT-4?"),
    ("number", "Is it -5 outside?", "Is it 5 outside?"),
    ("number", "Can I change it?", "Can I change it 3 times?"),
    ("date", "Who won in 2018?", "Who won in 2022?"),
    ("date", "Are you open on Monday?", "Are you open on Sunday?"),
    ("date", "Was it due on 2024-01-05?", "Was it due on 2024-05-01?"),
    ("date", "What is due this month?", "What is due next month?"),
    ("unit", "Does it take 5 minutes?", "Does it take 5 hours?"),
    ("unit", "Is the fee $5?", "Is the fee 5 euros?"),
    ("unit", "Can I send 20 MB?", "Can I send 20 GB?"),
    ("unit", "How many parsecs for 5 minutes?", "How many parsecs for 5 sprints?"),
    ("name", "Can I pay with Visa?", "Can I pay with Mastercard?"),
    ("name", "Is it written in C?", "Is it written in C++?"),
    ("name", "Can I pay with N26?", "Can I pay with N27?"),
    ("name", "What are the hours?", "What are the hours in Berlin?"),
    ("word", "who wrote harry potter and the goblet", "who wrote peter pan and the goblet"),
    ("polarity", "Can I cancel it?", "Can't I cancel it?"),
    ("polarity", "How do I turn it on?", "How do I turn it off?"),
    ("polarity", "Can I go with a passport?", "Can I go without a passport?"),
    ("polarity", "What if it is supported?", "What if it is unsupported?"),
    ("polarity", "Is it free for members?", "Is it free for non-members?"),
    ("polarity", "Do all users see it?", "Do all users but guests see it?"),
    ("polarity", "What if it starts?", "What if it fails to start?"),
    ("direction", "How do I upload a file?", "How do I download a file?"),
    ("direction", "Does it raise the limit?", "Does it lower the limit?"),
    ("direction", "Flights from Oslo?", "Flights to Oslo?"),
    ("direction", "Can I eat before the test today?", "Can I eat after the test today?"),
    ("direction", "What is stored above the line?", "What is stored beneath the line?"),
    ("role", "Is Python faster than Java?", "Is Java faster than Python?"),
    ("role", "Send it from Oslo to Rome", "Send it from Rome to Oslo"),
    ("role", "Does the dog chase the cat?", "Does the cat chase the dog?"),
    ("role", "Is Rome ruled by Oslo?", "Is Oslo ruled by Rome?"),
    ("role", "Does Oslo rule Rome?", "Is Oslo ruled by Rome?"),
    ("asked", "Who built the bridge?", "When was the bridge built?"),
    ("asked", "How many fees are there?", "How often are there fees?"),
]
HARMLESS = [
    ("Can I add 3 users?", "Can I add three users?"),
    ("Can I send 1,000 files?", "Can I send 1000 files?"),
    ("Does it take 5 minutes?", "Does it take 5 min?"),
    ("Is the fee $5?", "Is the fee 5 dollars?"),
    ("What is due?", "WHAT'S DUE??"),
    ("How do I reset my password?", "Hi, could you tell me: how can I reset my pasword please?"),
    ("On my phone, how do I reset it?", "How do I reset it on my phone?"),
    ("Send it from Oslo to Rome", "Send it to Rome from Oslo"),
    ("Does Oslo rule Rome?", "Is Rome ruled by Oslo?"),
    ("Do cats and dogs sleep?", "Do dogs and cats sleep?"),
    ("Is it allowed in the US?", "Is it allowed in the United States?"),
    ("How is COVID-19 treated?", "How to treat COVID 19?"),
    ("Which colour is the centre?", "Which color is the center?"),
    ("When did it begin?", "When did it start?"),
    ("What if it is not supported?", "What if it is unsupported?"),
    ("Where is the super bowl?", "Where is the superbowl?"),
    ("Wie kann ich das Virus vermeiden?", "Wie vermeide ich das Virus?"),
]
QUESTIONS = [
    "How do I reset my password?",
    "What happens when the card is declined?",
    "Can I change the currency of my account?",
    "who wrote the song about the yellow submarine",
    "How long does a transfer take to arrive?",
    "Why does the server refuse the connection?",
    "What are the symptoms of the illness?",
    "Is there a limit on uploads?",
]


@pytest.mark.parametrize(("kind", "kept", "asked"), DIFFERENT)
def test_each_kind_is_seen_both_ways(kind: DifferenceKind, kept: str, asked: str) -> None:
    assert kind in {found.kind for found in differences(kept, asked)}
    assert kind in {found.kind for found in differences(asked, kept)}


@pytest.mark.parametrize(("kept", "asked"), HARMLESS)
def test_a_rewording_has_none(kept: str, asked: str) -> None:
    assert differences(kept, asked) == []
    assert differences(asked, kept) == []


def test_it_names_the_words() -> None:
    [found] = differences("Can I add 3 users?", "Can I add seven users?")
    assert (found.kept, found.asked) == ("3", "seven")


@pytest.mark.parametrize("name", ["seen", "held_out"])
def test_of_made_attacks_hardly_any_is_missed(name: str) -> None:
    made = attacks(QUESTIONS, 50, vocabulary(name), seed=7)
    missed = [pair for pair in made if not differences(pair.kept, pair.asked)]
    assert len(missed) <= 0.02 * len(made)


@pytest.mark.parametrize("name", ["seen", "held_out"])
def test_of_made_rewordings_hardly_any_is_stopped(name: str) -> None:
    made = rewordings(QUESTIONS, 8, vocabulary(name), seed=7)
    stopped = [pair for pair in made if differences(pair.kept, pair.asked)]
    assert len(stopped) <= 0.1 * len(made)


@given(st.text(max_size=100), st.text(max_size=100))
def test_any_two_texts_can_be_compared(kept: str, asked: str) -> None:
    differences(kept, asked)


@given(st.text(max_size=100))
def test_a_question_does_not_differ_from_itself(question: str) -> None:
    assert differences(question, question) == []


def test_a_long_question_is_never_taken_for_another_one() -> None:
    kept = " ".join(f"apple{place}" for place in range(MOST_WORDS + 1))
    assert differences(kept, kept) == []
    assert differences(kept, f"{kept} please") != []
    assert differences("Is it an apple?", kept) != []
