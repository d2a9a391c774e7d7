"""An embedding model that the user names: the packaged weights, loaded by sentence-transformers.

The same weights in our own graph are the reference. Other kinds of model (a prompt, a pooling by
the first token, a layer after the pooling) are made here from them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from indexing.chunking import StructuralChunker, passage_of
from indexing.embedding.named import NamedEmbedder
from indexing.embedding.packaged import (
    MODEL_TOKENS,
    SPECIAL_TOKENS,
    PackagedEmbedder,
    PackagedTokenizer,
    model_dir,
)
from rag.errors import ModelError
from rag.ports import Embedder, Tokenizer
from rag.types import Document, Passage, Span, Vector

pytestmark = pytest.mark.skipif(
    find_spec("sentence_transformers") is None, reason="the extra `models` is not installed"
)

SENTENCES = (
    "Refunds are paid within five working days.",
    "The widget can be embedded on any page of your site.",
    "Parking behind the building is free on Sundays.",
)
TEXT = " ".join(SENTENCES)
SPANS = tuple(Span(TEXT.index(one), TEXT.index(one) + len(one)) for one in SENTENCES)
QUESTION = Passage("How long does a refund take?", "question")

Variant = Callable[[Path], None]


@pytest.fixture(scope="module")
def named() -> NamedEmbedder:
    return NamedEmbedder(str(model_dir()))


@pytest.fixture
def variant(tmp_path: Path) -> Callable[[Variant], NamedEmbedder]:
    """A copy of the packaged model that `change` has changed."""

    def make(change: Variant) -> NamedEmbedder:
        folder = tmp_path / "model"
        shutil.copytree(model_dir(), folder)
        change(folder)
        return NamedEmbedder(str(folder))

    return make


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def cosines(left: Sequence[Vector], right: Sequence[Vector]) -> list[float]:
    return [float(one @ other) for one, other in zip(left, right, strict=True)]


class TestAgreement:
    async def test_vectors_are_those_of_the_packaged_model(
        self, named: NamedEmbedder, embedder: PackagedEmbedder
    ) -> None:
        passages = [Passage(TEXT, "document", SPANS), QUESTION]
        passages += [Passage(one, "document") for one in SENTENCES]
        ours, theirs = await embedder.embed(passages), await named.embed(passages)
        assert min(cosines([e.vector for e in ours], [e.vector for e in theirs])) > 0.985

    async def test_span_vectors_are_those_of_the_packaged_model(
        self, named: NamedEmbedder, embedder: PackagedEmbedder
    ) -> None:
        passage = Passage(TEXT, "document", SPANS)
        (ours,), (theirs,) = await embedder.embed([passage]), await named.embed([passage])
        assert min(cosines(ours.span_vectors, theirs.span_vectors)) > 0.985

    def test_tokens_are_those_of_the_packaged_tokenizer(self, named: NamedEmbedder) -> None:
        for text in (
            TEXT,
            "Größe: 5 µm — naïve “quotes” 日本語 🙂\n\n| a | b |",
            "",
            "word " * 600,
        ):
            assert named.token_spans(text) == PackagedTokenizer().token_spans(text)


class TestVectors:
    async def test_shapes_and_lengths(self, named: NamedEmbedder) -> None:
        embedder: Embedder = named
        many = [Passage(f"{TEXT} {n}", "document", SPANS) for n in range(40)]  # over one batch
        found = await embedder.embed([*many, QUESTION])
        assert len(found) == 41
        for embedding in found:
            assert embedding.vector.shape == (embedder.dimension,)
            assert embedding.vector.dtype == embedding.span_vectors.dtype == np.float32
            assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-5)
        assert found[0].span_vectors.shape == (3, embedder.dimension)
        assert np.linalg.norm(found[0].span_vectors, axis=1) == pytest.approx(1, abs=1e-5)
        assert found[-1].span_vectors.shape == (0, embedder.dimension)

    async def test_nothing_to_embed(self, named: NamedEmbedder) -> None:
        assert await named.embed([]) == []

    async def test_the_sentence_that_answers_is_the_nearest(self, named: NamedEmbedder) -> None:
        document, question = await named.embed([Passage(TEXT, "document", SPANS), QUESTION])
        scores = document.span_vectors @ question.vector
        assert int(scores.argmax()) == 0
        assert scores[0] > scores[1:].max() + 0.2

    async def test_a_span_over_all_is_nearly_the_whole(self, named: NamedEmbedder) -> None:
        whole = Passage(TEXT, "document", (Span(0, len(TEXT)),))
        (embedding,) = await named.embed([whole])
        assert float(embedding.span_vectors[0] @ embedding.vector) > 0.98

    async def test_a_span_without_a_token_gets_the_vector_of_the_whole(
        self, named: NamedEmbedder
    ) -> None:
        spaced = Passage("Refunds   are paid.", "document", (Span(8, 9),))
        (embedding,) = await named.embed([spaced])
        assert embedding.span_vectors[0] == pytest.approx(embedding.vector)

    async def test_a_text_that_is_cut_keeps_the_places_of_its_first_spans(
        self, named: NamedEmbedder
    ) -> None:
        long = f"{TEXT} " + "The weather was fine that day. " * 100
        passage = Passage(long, "document", (*SPANS, Span(len(long) - 10, len(long))))
        (cut,) = await named.embed([passage])
        alone = [(await named.embed([Passage(one, "document")]))[0].vector for one in SENTENCES]
        nearest = (cut.span_vectors[:3] @ np.stack(alone).T).argmax(axis=1)
        assert nearest.tolist() == [0, 1, 2]
        assert cut.span_vectors[3] == pytest.approx(cut.vector), "no token of it was read"


class TestChunkTokens:
    def test_the_packaged_model_reads_254(self, named: NamedEmbedder) -> None:
        assert named.chunk_tokens == MODEL_TOKENS - SPECIAL_TOKENS

    async def test_the_last_token_that_fits_is_read_and_the_next_is_not(
        self, named: NamedEmbedder
    ) -> None:
        words = ["tree"] * named.chunk_tokens
        last, beyond = [*words[:-1], "penguin"], [*words, "penguin"]
        embeddings = await named.embed(
            [Passage(" ".join(w), "document") for w in (words, last, beyond)]
        )
        plain, changed, cut = (embedding.vector for embedding in embeddings)
        assert float(plain @ changed) < 0.9999
        assert float(plain @ cut) > 0.9999

    async def test_no_chunk_is_longer_than_the_model_reads(self, named: NamedEmbedder) -> None:
        tokenizer: Tokenizer = named
        text = "\n\n".join(f"## Part {n}\n\n{TEXT} {TEXT}" for n in range(30))
        document = Document("help", "d", "v", "A title", text, ("d.md",))
        chunks = StructuralChunker(tokenizer, named.chunk_tokens).chunk(document)
        assert len(chunks) > 3
        assert "".join(chunk.text for chunk in chunks) == text
        for chunk in chunks:
            assert len(named.token_spans(passage_of(chunk).text)) <= named.chunk_tokens


class TestOtherKindsOfModel:
    async def test_a_prompt_takes_room_and_moves_no_span(
        self, variant: Callable[[Variant], NamedEmbedder], named: NamedEmbedder
    ) -> None:
        prompt = "Represent this passage for retrieval: "

        def prompted(folder: Path) -> None:
            prompts = {"query": "Represent this question: ", "document": prompt}
            edit_json(folder / "config_sentence_transformers.json", prompts=prompts)

        embedder = variant(prompted)
        assert embedder.chunk_tokens == named.chunk_tokens - len(named.token_spans(prompt))
        document, question, plain = await embedder.embed(
            [Passage(TEXT, "document", SPANS), QUESTION, Passage(QUESTION.text, "document")]
        )
        assert float(question.vector @ plain.vector) < 0.9999, "a question has its own prompt"
        by_hand = [Passage(prompt + TEXT, "document", tuple(_moved(s, len(prompt)) for s in SPANS))]
        (expected,) = await named.embed(by_hand)
        assert min(cosines(document.span_vectors, expected.span_vectors)) > 0.9999

    async def test_pooling_by_the_first_token_embeds_sentences_alone(
        self, variant: Callable[[Variant], NamedEmbedder]
    ) -> None:
        def by_first_token(folder: Path) -> None:
            edit_json(
                folder / "1_Pooling" / "config.json",
                pooling_mode_mean_tokens=False,
                pooling_mode_cls_token=True,
            )

        await self._assert_spans_are_embedded_alone(variant(by_first_token), 384)

    async def test_a_layer_after_the_pooling_embeds_sentences_alone(
        self, variant: Callable[[Variant], NamedEmbedder]
    ) -> None:
        def with_a_layer(folder: Path) -> None:
            from sentence_transformers import SentenceTransformer, models

            model = SentenceTransformer(str(folder))
            narrow = models.Dense(384, 64)
            SentenceTransformer(modules=[model[0], model[1], narrow]).save(str(folder))

        await self._assert_spans_are_embedded_alone(variant(with_a_layer), 64)

    async def _assert_spans_are_embedded_alone(
        self, embedder: NamedEmbedder, dimension: int
    ) -> None:
        """Its token states are no vectors like its own, perhaps not even of their length."""
        assert embedder.dimension == dimension
        (whole,) = await embedder.embed([Passage(TEXT, "document", SPANS)])
        alone = await embedder.embed([Passage(one, "document") for one in SENTENCES])
        assert whole.vector.shape == (dimension,)
        assert whole.span_vectors.shape == (3, dimension)
        assert min(cosines(whole.span_vectors, [e.vector for e in alone])) > 0.9999


class TestErrors:
    def test_the_fingerprint_names_the_model(self, named: NamedEmbedder) -> None:
        assert named.fingerprint == str(model_dir())

    @pytest.mark.parametrize("is_made", [False, True])
    def test_a_model_that_is_not_there(self, tmp_path: Path, is_made: bool) -> None:
        folder = tmp_path / "model"
        if is_made:
            folder.mkdir()
        with pytest.raises(ModelError) as caught:
            NamedEmbedder(str(folder))
        message = str(caught.value)
        assert str(folder) in message
        assert "\n" not in message

    def test_weights_that_are_cut_off(self, tmp_path: Path) -> None:
        folder = tmp_path / "model"
        shutil.copytree(model_dir(), folder)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1_000_000])
        with pytest.raises(ModelError):
            NamedEmbedder(str(folder))


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
