"""Near-duplicates: what counts as saying the same, and whether relatives are found.

That no differing fact is lost is shown on real pages in up to nine versions, when they are there.
"""

from __future__ import annotations

import csv
import itertools
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from fakes import FindData
from hypothesis import assume, example, given
from hypothesis import strategies as st

from indexing.near_duplicates import BANDS, NEAR, ROWS, similarity, sketch
from indexing.wording import wording


def words_of(text: str, title: str | None = None) -> str:
    return wording(title, text, {})


PAGE = """# Limits

A request may have **1.5 MB** at most. The default of `--max-bytes` is 1572864,
and -v shows it.

* Keys: 4 KB
* Values: no limit

1. Stop the server.
2. Raise the limit.

| size | allowed |
|------|---------|
| 1 MB | yes     |
| 2 MB | no      |

```sh
server --max-bytes 1572864
  --verbose
```

Do not raise it further.
"""


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("one two three four", "one two\nthree four"),
        ("one two.\n\nthree", "one  two.\n\n\n\nthree\n"),
        ("* a b\n* c", "- a b\n- c"),
        ("• a\n  • b", "* a\n  * b"),
        ("* a b c d", "* a b\n  c d"),
        ("say **this** now", "say this now"),
        ("**Note:** it is so", "Note: it is so"),
        ("# Title\ntext", "# Title\n\ntext"),
        ("Say it.\n\nDo it.", "Say it\n\nDo it"),
        ("* Say it.\n* Do it.", "* Say it\n* Do it"),
        ("don’t say “no”", 'don\'t say "no"'),
        ("that – or this — is", "that - or this - is"),
        ("pages 3–5 of −7 non‑stop", "pages 3-5 of -7 non-stop"),
        ("of\u00a0ﬁve\u2003days…", "of five days..."),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "|a  |  b|\n|:-:|:------|\n|1|2|"),
        ("```sh\nls -l\n```", "```\nls -l  \n```"),
        ("~~~\nls -l\n~~~", "```\nls -l\n```"),
    ],
)
def test_layout_does_not_change_the_wording(left: str, right: str) -> None:
    assert words_of(left) == words_of(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("it is on", "it is not on"),
        ("it takes 5 days", "it takes 7 days"),
        ("version 3.4", "version 34"),
        ("10⁵ of them", "105 of them"),
        ("use -v", "use -V"),
        ("use --v", "use -v"),
        ("a < b", "a > b"),
        ("5% of $7", "5% of 7"),
        ("the value is -5", "the value is 5"),
        ("Anna pays Bob", "Bob pays Anna"),
        ("Polish", "polish"),
        ("Do not. Stop", "Do not Stop"),
        ("Is it safe?", "Is it safe."),
        ("It is safe!", "It is safe"),
        ("cp a src/.", "cp a src/"),
        ("cd ..", "cd ."),
        ("call __init__ now", "call init now"),
        ("pass **kwargs, **more", "pass kwargs, more"),
        ("2**3**4", "234"),
        ("match *log*", "match log"),
        ("`**x**`", "`x`"),
        ("see [this](a.md)", "see [this](b.md)"),
        ("1. Stop", "2. Stop"),
        ("+ allowed", "- allowed"),
        ("# listen 80", "listen 80"),
        ("# A\n## B", "# A\n### B"),
        ("* a\n  * b", "* a\n* b"),
        ("a:\n  b: 1\nc: 2", "a:\n  b: 1\n  c: 2"),
        ("one two.\n\nthree", "one two. three"),
        ("```\na:\n  b: 1\n```", "```\na:\nb: 1\n```"),
        ("```\nx = 'a  b'\n```", "```\nx = 'a b'\n```"),
        ("```\nx\n```", "x"),
        ("```yaml title=a.yml\nx\n```", "```yaml title=b.yml\nx\n```"),
        ("~~~\n```\nx\n~~~", "```\n```\nx\n```"),
        ("    # set a\n    b = 1", "    # set a b = 1"),
        ("> a:\n>   b: 1\n> c: 2", "> a:\n>   b: 1\n>   c: 2"),
        ("| a | | b |\n", "| a | b | |\n"),
        ("| `a||b` | c |", "| `a | | b` | c |"),
        ("passes   yes\nfails        yes", "passes   yes\nfails   yes"),
        ("a\t\tb", "a\tb"),
    ],
)
def test_a_fact_changes_the_wording(left: str, right: str) -> None:
    assert words_of(left) != words_of(right)
    assert words_of(f"{PAGE}\n{left}\n\nend") != words_of(f"{PAGE}\n{right}\n\nend")


def test_title_and_metadata_count() -> None:
    assert wording("A", "x", {}) != wording("B", "x", {})
    assert wording("A", "x", {}) != wording(None, "x", {})
    assert wording("A  title", "x", {}) == wording("A title", "x", {})
    assert wording(None, "x", {"lang": "en"}) != wording(None, "x", {})
    assert wording(None, "x", {"n": 1}) != wording(None, "x", {"n": True})
    assert wording(None, "x", {"a": 1, "b": 2}) == wording(None, "x", {"b": 2, "a": 1})


_NAMES = st.from_regex(r"[A-Za-z]{1,8}", fullmatch=True)
_TOKENS = st.one_of(
    _NAMES,
    st.sampled_from("not no 5 10,000 3.4 v2 -v --max-bytes a<b 5% $7 x_y `code` isn't".split()),
)
_SENTENCES = st.lists(_TOKENS, min_size=2, max_size=12).map(lambda words: ["The", *words, "end."])
_PAGES = st.lists(_SENTENCES, min_size=1, max_size=5)


def page(sentences: list[list[str]], bullet: str = "*") -> str:
    """A heading, a paragraph, a list, a table and code, of the same sentences."""
    lines = [" ".join(words) for words in sentences]
    items = "\n".join(f"{bullet} {line}" for line in lines)
    rows = "\n".join(f"| {line.replace('|', ' ')} | 1 |" for line in lines)
    code = "\n".join(f"  {line}" for line in lines)
    return f"# {lines[0]}\n\n{' '.join(lines)}\n\n{items}\n\n{rows}\n\n```\n{code}\n```\n"


@given(_PAGES, st.data())
def test_any_other_letter_or_digit_changes_the_wording(
    sentences: list[list[str]], data: st.DataObject
) -> None:
    text = page(sentences)
    places = [place for place, character in enumerate(text) if character.isalnum()]
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from("aZ09qé").filter(lambda c: c != text[place]))
    assert words_of(text) != words_of(text[:place] + other + text[place + 1 :])


@given(_PAGES, st.data())
def test_a_not_or_a_flag_put_in_anywhere_changes_the_wording(
    sentences: list[list[str]], data: st.DataObject
) -> None:
    text = page(sentences)
    gaps = [match.start() for match in re.finditer(r"(?<=\w) (?=\w)", text)]
    place = data.draw(st.sampled_from(gaps))
    word = data.draw(st.sampled_from(["not", "--force", "-x", "<", "!", "0"]))
    assert words_of(text) != words_of(f"{text[:place]} {word}{text[place:]}")


@given(_PAGES, st.data())
def test_two_words_that_change_places_change_the_wording(
    sentences: list[list[str]], data: st.DataObject
) -> None:
    sentence = data.draw(st.sampled_from(sentences))
    first, second = data.draw(
        st.lists(st.integers(0, len(sentence) - 1), min_size=2, max_size=2, unique=True)
    )
    assume(sentence[first] != sentence[second])
    before = words_of(page(sentences))
    sentence[first], sentence[second] = sentence[second], sentence[first]
    assert words_of(page(sentences)) != before


@given(_PAGES, st.integers(1, 12), st.data())
def test_no_reformatting_changes_the_wording(
    sentences: list[list[str]], width: int, data: st.DataObject
) -> None:
    words = [word for sentence in sentences for word in sentence]
    bold = data.draw(st.integers(0, len(words) - 1))
    assume(words[bold].isalnum())
    wrapped = [" ".join(words[i : i + width]) for i in range(0, len(words), width)]
    marked = [*words[:bold], f"**{words[bold]}**", *words[bold + 1 :]]
    assert words_of("\n".join(wrapped)) == words_of(" ".join(words)) == words_of(" ".join(marked))
    assert words_of(page(sentences, "-")) == words_of(page(sentences, "*"))


@example("~~~")
@given(st.text(alphabet="ab1 \n\t*-#|`~>.\\", max_size=60))
def test_any_text_has_a_wording_and_a_sketch(text: str) -> None:
    assert words_of(text) == words_of(text + "\n")
    assert similarity(text, text) == 1
    assert bool(sketch(text)) == bool(re.search(r"\w", text))


def test_a_sketch_is_the_same_on_every_machine() -> None:
    assert sketch("The default limit is 5 MB.")[:2] == (-9129262016695530363, -9114212286138718310)


def test_bands_fit_a_signed_column_of_64_bits() -> None:
    bands = sketch(PAGE * 3)
    assert len(bands) == BANDS
    assert all(-(2**63) <= band < 2**63 for band in bands)


def test_similarity_is_the_jaccard_index_of_runs_of_five_words() -> None:
    left = [f"w{n}" for n in range(100)]
    right = [*left[:50], "other", *left[51:]]
    assert similarity(" ".join(left), " ".join(right)) == pytest.approx(91 / 101)
    assert similarity(" ".join(left), " ".join(left).upper()) == 1
    assert similarity(" ".join(left), "nothing of that") == 0
    assert similarity("", "one") == 0
    assert similarity("", "") == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The limit is 5 MB.", "The limit is 7 MB."),
        ("A refund takes five days at most.", "A refund takes seven days at most."),
        ("Our office is open from 9 to 5 on weekdays.", "Our office is open from 9 to 6 daily."),
    ],
)
def test_short_texts_that_differ_in_a_word_are_near(left: str, right: str) -> None:
    assert similarity(left, right) >= NEAR


def test_short_texts_about_other_things_are_not_near() -> None:
    assert similarity("How do I change my password?", "How do I cancel my order?") < NEAR
    assert similarity("Yes.", "No.") == 0


@pytest.mark.parametrize("length", [8, 20, 59, 60, 61, 100, 300])
def test_a_text_finds_its_version_on_both_sides_of_the_bound_of_short_texts(length: int) -> None:
    chooser = random.Random(length)
    for _ in range(20):
        words = [f"w{chooser.randrange(1000)}" for _ in range(length)]
        longer = [*words, *(f"new{n}" for n in range(length // 8))]
        left, right = " ".join(words), " ".join(longer)
        assert similarity(left, right) >= NEAR
        assert set(sketch(left)) & set(sketch(right))


@pytest.mark.parametrize("jaccard", [0.2, 0.35, 0.5, 0.65])
def test_relatives_are_found_as_often_as_the_theory_says(jaccard: float) -> None:
    chooser, tries, found = random.Random(7), 150, 0
    for _ in range(tries):
        shared = round(400 * 2 * jaccard / (1 + jaccard))
        both, own, other = ([chooser.random() for _ in range(400)] for _ in range(3))
        # each number makes a run of its own between stops that all texts share
        left = _shingle_text([*both[:shared], *own[shared:]])
        right = _shingle_text([*both[:shared], *other[shared:]])
        found += bool(set(sketch(left)) & set(sketch(right)))
    exact = similarity(left, right)
    expected = 1 - (1 - exact**ROWS) ** BANDS
    assert abs(found / tries - expected) < 0.15


def _shingle_text(numbers: list[float]) -> str:
    return " ".join(f"a b c d n{number:.9f}".replace(".", "") for number in numbers)


def test_time_grows_with_the_length_and_not_faster() -> None:
    hostile: list[Callable[[int], str]] = [
        lambda n: "word " * (n // 5),
        lambda n: "`" * n,
        lambda n: "** " * (n // 3) + "**a" * (n // 3),
        lambda n: "|" + "-" * n + "x",
        lambda n: "|" * n,
        lambda n: "x" + " " * n + "|",
        lambda n: "* " * (n // 2),
        lambda n: "```" * (n // 3),
        lambda n: "x" + " \t" * (n // 2) + "x",
        lambda n: ("`" * 7 + " ") * (n // 8),
        lambda n: "–" * n,
    ]
    for make in hostile:
        text = make(300_000)
        begin = time.process_time()
        words_of(text)
        sketch(text)
        assert time.process_time() - begin < 3, text[:40]


@pytest.fixture(scope="module")
def pages(find_data: FindData) -> dict[str, dict[str, str]]:
    rows = (find_data("neardup_etcd") / "corpus.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, rows)}


@pytest.fixture(scope="module")
def pairs(find_data: FindData, pages: Mapping[str, object]) -> list[tuple[str, str, float]]:
    path: Path = find_data("neardup_etcd") / "pairs.tsv"
    with path.open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return [(row["doc_a"], row["doc_b"], float(row["jaccard5"])) for row in rows]


_FACTS = {
    "words": r"\w+",
    "numbers": r"[-+]?\d[\w.,:%/]*",
    "flags": r"(?<!\S)--?[A-Za-z][\w-]*",
    "names": r"\b[A-Z]\w*",
    "code": r"`[^`\n]+`",
    "targets": r"\]\([^)]*\)|https?://\S+",
    "negations": r"(?i)\b(?:not?|never|none|without|cannot|\w+n['’]t)\b",
    "operators": r"[<>=!+%$&@^]+",
}


def facts(page: Mapping[str, str]) -> dict[str, list[str]]:
    """All that must not be lost, in order, found without any knowledge of Markdown."""
    text = re.sub(r"(?m)^\s*(```|~~~)[a-z]+$", r"\1", page["text"])  # the language of code
    text = text.replace("’", "'")
    return {kind: re.findall(pattern, text) for kind, pattern in _FACTS.items()}


def test_pages_of_the_same_wording_have_the_same_facts(pages: dict[str, dict[str, str]]) -> None:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, row in pages.items():
        groups[wording(row["title"], row["text"], {})].append(name)
    compared = 0
    for names in groups.values():
        for left, right in itertools.combinations(names, 2):
            assert facts(pages[left]) == facts(pages[right]), (left, right)
            assert pages[left]["title"] == pages[right]["title"]
            compared += pages[left]["text"] != pages[right]["text"]
    assert compared > 10, "pages that differ in layout alone were to be among them"


def test_pages_that_differ_in_spaces_alone_have_the_same_wording(
    pages: dict[str, dict[str, str]],
) -> None:
    """The other way round, by a rule of its own: single spaces, no blank lines beyond one."""
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in pages.values():
        lines = re.sub(r"(?<=\S) (?= \S)", "", row["text"]).split("\n")
        spaced = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")
        if "\t" not in spaced and "```" not in spaced:
            groups[row["title"], spaced].add(wording(row["title"], row["text"], {}))
    assert len(groups) > 50
    assert all(len(wordings) == 1 for wordings in groups.values())


def test_similarity_is_what_was_measured_before(
    pages: dict[str, dict[str, str]], pairs: list[tuple[str, str, float]]
) -> None:
    for left, right, jaccard in pairs[::10]:
        texts = pages[left]["text"], pages[right]["text"]
        if min(len(re.findall(r"\w+", text)) for text in texts) >= 60:
            assert similarity(*texts) == pytest.approx(jaccard, abs=1e-4)


def test_near_pages_are_found_and_few_others(
    pages: dict[str, dict[str, str]], pairs: list[tuple[str, str, float]]
) -> None:
    bands = {name: set(sketch(row["text"])) for name, row in pages.items()}
    found = {(left, right): bool(bands[left] & bands[right]) for left, right, _ in pairs}
    near = [found[left, right] for left, right, jaccard in pairs if NEAR <= jaccard < 0.7]
    nearer = [found[left, right] for left, right, jaccard in pairs if jaccard >= 0.7]
    assert sum(near) / len(near) > 0.85
    assert all(nearer)
    sharing = Counter(band for several in bands.values() for band in several)
    assert sum(count * (count - 1) / 2 for count in sharing.values()) / BANDS < len(pairs)
