"""The packaged model against its reference, alone and in batches; and the sharing of batches."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import GatedEmbedder, HashingEmbedder
from patience import FAR_S

from indexing.embedding.batching import BatchingEmbedder
from indexing.embedding.minilm_graph import write_graph
from indexing.embedding.packaged import (
    DIMENSION,
    INSTALL,
    MODEL_TOKENS,
    PACKAGE,
    PackagedEmbedder,
    PackagedTokenizer,
    model_dir,
)
from rag.errors import MissingExtraError, ModelError
from rag.ports import Embedder
from rag.types import Embedding, Passage, Span

TEXTS = [
    "How do I reset my password?",
    "Reset it through the link in the confirmation mail, which is valid for an hour.",
    "The scrape interval is set in the configuration file, 15 seconds by default.",
    "# Helm\n\n```yaml\nreplicas: 3\nimage: nginx:1.25\n```\n",
    "| metric | value |\n|---|---|\n| up | 1 |",
    "Ünïcödé, 漢字 and 🙂 in one line.",
    "word",
    "42",
    "A somewhat longer passage. " * 30,
]


def documents(*texts: str) -> list[Passage]:
    return [Passage(text, "document") for text in texts]


async def vectors(embedder: Embedder, *texts: str) -> Any:
    return np.stack([one.vector for one in await embedder.embed(documents(*texts))])


# What every embedder keeps


@pytest.fixture(params=["packaged", "batching", "hashing"])
def any_embedder(request: pytest.FixtureRequest, embedder: PackagedEmbedder) -> Embedder:
    if request.param == "packaged":
        return embedder
    if request.param == "batching":
        return BatchingEmbedder(embedder, max_passages=4)
    return HashingEmbedder()


async def test_vectors_are_float32_of_unit_length_in_order(any_embedder: Embedder) -> None:
    passages = [Passage(text, "document", (Span(0, 4), Span(1, 2))) for text in TEXTS]
    found = await any_embedder.embed(passages)
    assert len(found) == len(passages)
    for one, passage in zip(found, passages, strict=True):
        assert one.vector.shape == (any_embedder.dimension,)
        assert one.span_vectors.shape == (2, any_embedder.dimension)
        assert one.vector.dtype == one.span_vectors.dtype == np.float32
        assert np.linalg.norm(one.vector) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(one.span_vectors, axis=1) == pytest.approx(1, abs=1e-5)
        [alone] = await any_embedder.embed([passage])
        assert np.array_equal(alone.vector, one.vector)
        assert np.array_equal(alone.span_vectors, one.span_vectors)


async def test_nothing_gives_nothing(any_embedder: Embedder) -> None:
    assert await any_embedder.embed([]) == []


async def test_a_passage_without_spans_has_no_span_vectors(any_embedder: Embedder) -> None:
    [one] = await any_embedder.embed(documents("Some text."))
    assert one.span_vectors.shape == (0, any_embedder.dimension)


async def test_many_callers_at_once_get_their_own(any_embedder: Embedder) -> None:
    alone = [await any_embedder.embed(documents(text)) for text in TEXTS]
    together = await asyncio.gather(*(any_embedder.embed(documents(text)) for text in TEXTS))
    for left, right in zip(alone, together, strict=True):
        assert np.array_equal(left[0].vector, right[0].vector)


def test_an_embedder_names_its_model(any_embedder: Embedder) -> None:
    assert any_embedder.fingerprint
    assert any_embedder.dimension > 0


# Agreement with the reference


@pytest.fixture(scope="module")
def reference() -> Any:
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers, of the extra `models`, is not installed")
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model_dir()), device="cpu")


@pytest.fixture(scope="module")
def fp32_session(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import onnxruntime

    path = tmp_path_factory.mktemp("fp32") / "fp32.onnx"
    write_graph(model_dir(), "fp32", path)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run_graph(session: Any, tokenizer: PackagedTokenizer, text: str, pooling: Any = None) -> Any:
    """The rows of `pooling`, shape `[rows, tokens]`, over the token states; at first their mean."""
    [encoding] = tokenizer.encode([text])
    count = len(encoding.ids)
    pooling = np.full((1, count), 1 / count, np.float32) if pooling is None else pooling
    feed = {"input_ids": np.array([encoding.ids], np.int64), "pooling": pooling[None]}
    return session.run(None, feed)[0][0]


def unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


@pytest.mark.filterwarnings("default")  # those of PyTorch and its friends are not ours to mend
async def test_agrees_with_sentence_transformers(
    reference: Any, embedder: PackagedEmbedder
) -> None:
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    cosines = (await vectors(embedder, *TEXTS) * expected).sum(axis=1)
    assert cosines.min() > 0.995, cosines


@pytest.mark.filterwarnings("default")
def test_the_exact_graph_is_the_reference(
    reference: Any, fp32_session: Any, tokenizer: PackagedTokenizer
) -> None:
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    found = unit(np.concatenate([run_graph(fp32_session, tokenizer, text) for text in TEXTS]))
    cosines = (found * expected).sum(axis=1)
    assert cosines.min() > 0.99999, cosines


async def test_agrees_with_the_exact_graph(
    fp32_session: Any, tokenizer: PackagedTokenizer, embedder: PackagedEmbedder
) -> None:
    expected = unit(np.concatenate([run_graph(fp32_session, tokenizer, text) for text in TEXTS]))
    cosines = (await vectors(embedder, *TEXTS) * expected).sum(axis=1)
    assert cosines.min() > 0.995, cosines


async def test_like_texts_are_near_and_unlike_ones_are_far(embedder: PackagedEmbedder) -> None:
    question, answer, other = await vectors(embedder, *TEXTS[:3])
    assert question @ answer > question @ other + 0.2


# Determinism


async def test_a_vector_depends_on_its_text_alone(embedder: PackagedEmbedder) -> None:
    alone = [await vectors(embedder, text) for text in TEXTS]
    together = await vectors(embedder, *reversed(TEXTS * 3))
    for number, text in enumerate(reversed(TEXTS * 3)):
        assert np.array_equal(together[number], alone[TEXTS.index(text)][0])


async def test_a_second_embedder_gives_the_same_vectors(
    embedder: PackagedEmbedder, model_cache: Path
) -> None:
    second = PackagedEmbedder(model_cache, threads=1)
    assert second.fingerprint == embedder.fingerprint
    assert np.array_equal(await vectors(second, *TEXTS), await vectors(embedder, *TEXTS))


async def test_a_question_is_embedded_as_a_document_is(embedder: PackagedEmbedder) -> None:
    [asked] = await embedder.embed([Passage(TEXTS[0], "question")])
    assert np.array_equal(asked.vector, (await vectors(embedder, TEXTS[0]))[0])


def test_an_embedder_outlives_an_event_loop(embedder: PackagedEmbedder) -> None:
    for _ in range(2):
        asyncio.run(vectors(embedder, *TEXTS * 8))


# Length


@pytest.mark.parametrize("count", [253, 254, 255, 256, 257, 600])
async def test_the_last_word_of_a_long_text_counts(count: int, embedder: PackagedEmbedder) -> None:
    text = " ".join(["word"] * (count - 1))
    left, right = await vectors(embedder, f"{text} harbour", f"{text} password")
    assert not np.allclose(left, right, atol=1e-4)


async def test_a_span_beyond_what_the_model_reads_at_once_has_its_own_vector(
    embedder: PackagedEmbedder, tokenizer: PackagedTokenizer
) -> None:
    text = "Bread is baked in an oven. " * 60 + "The harbour was quiet."
    assert len(tokenizer.token_spans(text)) > MODEL_TOKENS
    last = Span(text.index("The harbour"), len(text))
    [one] = await embedder.embed([Passage(text, "document", (Span(0, 26), last))])
    [bread, harbour] = await vectors(embedder, "Bread is baked in an oven.", "A quiet harbour.")
    first_vector, last_vector = one.span_vectors
    assert first_vector @ bread > first_vector @ harbour
    assert last_vector @ harbour > last_vector @ bread


async def test_long_texts_are_the_mean_over_their_windows(
    fp32_session: Any, tokenizer: PackagedTokenizer, embedder: PackagedEmbedder
) -> None:
    text = "Bread is baked in an oven. The harbour was quiet on that evening. " * 30
    [encoding] = tokenizer.encode([text])
    total = np.zeros(DIMENSION)
    for first in range(0, len(encoding.ids), MODEL_TOKENS):
        ids = encoding.ids[first : first + MODEL_TOKENS]
        feed = {
            "input_ids": np.array([ids], np.int64),
            "pooling": np.ones((1, 1, len(ids)), np.float32),
        }
        total += fp32_session.run(None, feed)[0][0][0]
    assert float(unit(total) @ (await vectors(embedder, text))[0]) > 0.995


# Spans


async def test_span_vectors_are_means_over_the_states_of_their_tokens(
    fp32_session: Any, tokenizer: PackagedTokenizer, embedder: PackagedEmbedder
) -> None:
    text = "Bread is baked in an oven. The harbour was quiet. Résumé: 漢字!"
    spans = (Span(0, 26), Span(27, 49), Span(50, len(text)), Span(0, len(text)))
    [one] = await embedder.embed([Passage(text, "document", spans)])
    [encoding] = tokenizer.encode([text])
    rows = np.zeros((len(spans), len(encoding.ids)), np.float32)
    for row, span in enumerate(spans):
        for token, (start, end) in enumerate(encoding.offsets):
            if not encoding.special_tokens_mask[token]:
                rows[row, token] = span.start <= start and end <= span.end
    assert rows.sum(axis=1).tolist()[3] == len(encoding.ids) - 2
    exact = unit(run_graph(fp32_session, tokenizer, text, rows / rows.sum(axis=1, keepdims=True)))
    cosines = (one.span_vectors * exact).sum(axis=1)
    assert cosines.min() > 0.993, cosines
    # what the four share makes any two alike; each is nearest to its own
    assert (one.span_vectors @ exact.T).argmax(axis=1).tolist() == [0, 1, 2, 3]


async def test_a_span_over_everything_is_the_whole_but_for_the_special_tokens(
    embedder: PackagedEmbedder,
) -> None:
    text = "Bread is baked in an oven. The harbour was quiet on that evening. " * 5
    [one] = await embedder.embed([Passage(text, "document", (Span(0, len(text)),))])
    assert 0.99 < float(one.span_vectors[0] @ one.vector) < 1


@pytest.mark.parametrize("span", [Span(3, 3), Span(5, 6), Span(1, 2)])
async def test_a_span_without_a_token_of_its_own_is_the_whole(
    span: Span, embedder: PackagedEmbedder
) -> None:
    [one] = await embedder.embed([Passage("Bread is baked.", "document", (span,))])
    assert one.span_vectors[0] == pytest.approx(one.vector, abs=1e-6)


async def test_texts_without_a_token_have_a_vector(embedder: PackagedEmbedder) -> None:
    for text in ("", " ", "\n"):
        assert np.linalg.norm((await vectors(embedder, text))[0]) == pytest.approx(1, abs=1e-5)


# The tokenizer


def test_token_spans_are_places_in_the_text(tokenizer: PackagedTokenizer) -> None:
    text = "  Résumé, 漢字 and tokenizers.\n"
    found = [text[span.start : span.end] for span in tokenizer.token_spans(text)]
    assert found == ["Résumé", ",", "漢", "字", "and", "token", "izer", "s", "."]


def test_the_tokenizer_neither_cuts_nor_pads(tokenizer: PackagedTokenizer) -> None:
    long, short = tokenizer.encode(["word " * 1_000, "word"])
    assert (len(long.ids), len(short.ids)) == (1_002, 3)


# The package and the cache


def test_a_missing_package_is_named_with_its_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])  # as if nothing were installed
    with pytest.raises(MissingExtraError, match="is not installed") as raised:
        PackagedEmbedder(tmp_path)
    assert f"`{INSTALL}`" in str(raised.value)


def test_weights_that_are_not_the_official_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "site" / PACKAGE
    shutil.copytree(model_dir(), fake / "model")
    with (fake / "model" / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        last = weights.read(1)[0]
        weights.seek(-1, os.SEEK_END)
        weights.write(bytes([last ^ 1]))  # one bit of ninety megabytes
    (fake / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(ModelError, match=r"has sha256 .*official.*install it again with `pip"):
        PackagedEmbedder(tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("**/*.onnx"))


def test_a_graph_that_cannot_be_loaded_is_refused_with_what_to_do(
    model_cache: Path, embedder: PackagedEmbedder, tmp_path: Path
) -> None:
    [graph] = model_cache.glob("*.onnx")
    (tmp_path / graph.name).write_bytes(graph.read_bytes()[:1_000_000])
    with pytest.raises(ModelError, match=r"cannot be loaded.*delete it, and it is built again"):
        PackagedEmbedder(tmp_path)


def test_a_cached_graph_is_used_as_it_is(model_cache: Path, embedder: PackagedEmbedder) -> None:
    [graph] = model_cache.glob("*.onnx")
    before = graph.stat()
    PackagedEmbedder(model_cache)
    assert graph.stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in model_cache.iterdir()] == [graph.name]


def test_a_build_that_was_killed_leaves_no_graph_that_is_used(
    model_cache: Path, embedder: PackagedEmbedder, tmp_path: Path
) -> None:
    """Killed as soon as it has begun to write; what is found later is whole or not there."""
    [whole] = model_cache.glob("*.onnx")
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}; from pathlib import Path;"
        "from indexing.embedding.packaged import PackagedEmbedder;"
        f"PackagedEmbedder(Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + FAR_S
    while not list(tmp_path.glob("*/*.onnx")) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not list(tmp_path.glob("*.onnx"))
    PackagedEmbedder(tmp_path)
    assert _digest(tmp_path / whole.name) == _digest(whole)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Sharing batches


async def settled() -> None:
    """Lets everything that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def asking(embedder: Embedder, *texts: str) -> asyncio.Task[list[Embedding]]:
    return asyncio.create_task(embedder.embed([Passage(text, "question") for text in texts]))  # type: ignore[arg-type]


async def test_callers_share_the_batch_that_follows_the_running_one() -> None:
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner)
    tasks = [asking(batching, "first")]
    await settled()
    tasks += [asking(batching, "a", "b"), asking(batching, "c"), asking(batching, "d")]
    await settled()
    assert inner.calls == [["first"]]
    inner.gate.set()
    results = await asyncio.gather(*tasks)
    assert inner.calls == [["first"], ["a", "b", "c", "d"]]
    assert [len(result) for result in results] == [1, 2, 1, 1]
    [expected] = await HashingEmbedder().embed(documents("b"))
    assert np.array_equal(results[1][1].vector, expected.vector)


async def test_a_single_call_does_not_wait() -> None:
    inner = GatedEmbedder()
    task = asking(BatchingEmbedder(inner), "alone")
    await settled()
    assert inner.calls == [["alone"]]
    inner.gate.set()
    await task


async def test_a_batch_is_at_most_as_large_as_allowed() -> None:
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner, max_passages=3)
    tasks = [asking(batching, "first")]
    await settled()
    tasks += [asking(batching, name, name) for name in "abc"]
    tasks += [asking(batching, *"huge!"), asking(batching, "z")]
    inner.gate.set()
    await asyncio.gather(*tasks)
    assert inner.calls == [["first"], ["a", "a"], ["b", "b"], ["c", "c"], [*"huge!"], ["z"]]


async def test_a_failed_batch_answers_every_waiter_and_the_next_goes_on() -> None:
    inner = GatedEmbedder()
    inner.poison["bad"] = ModelError("the model is unfit")
    batching = BatchingEmbedder(inner)
    first = asking(batching, "first")
    await settled()
    waiters = [asking(batching, "good"), asking(batching, "bad"), asking(batching, "other")]
    await settled()
    inner.gate.set()
    assert len(await first) == 1
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert all(result is inner.poison["bad"] for result in results)
    assert len(await asking(batching, "later")) == 1


async def test_the_work_of_a_caller_who_left_is_dropped() -> None:
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner)
    first = asking(batching, "first")
    await settled()
    leaving, staying = asking(batching, "leaving"), asking(batching, "staying")
    await settled()
    leaving.cancel()
    await settled()
    inner.gate.set()
    assert len(await staying) == 1
    await first
    assert inner.calls == [["first"], ["staying"]]
    assert leaving.cancelled()


async def test_a_caller_who_leaves_during_the_batch_disturbs_no_other() -> None:
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner)
    blocker = asking(batching, "first")
    await settled()
    leaving, staying = asking(batching, "leaving"), asking(batching, "staying")
    blocker.cancel()
    await settled()
    inner.gate.set()
    leaving.cancel()
    assert len(await staying) == 1


async def test_a_batching_embedder_passes_on_what_it_wraps() -> None:
    inner = HashingEmbedder(16)
    batching: Embedder = BatchingEmbedder(inner)
    assert (batching.fingerprint, batching.dimension) == ("hashing", 16)
