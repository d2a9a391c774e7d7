"""The cross-encoder, on a real, small and random model that is made and saved here."""

from __future__ import annotations

import asyncio
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from retrieval_fakes import QUESTION, ListRetriever, hit

from indexing.embedding.packaged import model_dir
from rag.errors import ModelError
from rag.ports import Reranker
from retrieval.cross_encoder import CrossEncoderReranker
from retrieval.reranking import RerankingRetriever

pytestmark = pytest.mark.skipif(
    find_spec("sentence_transformers") is None, reason="the extra `models` is not installed"
)

TEXTS = ("Refunds take five days.", "The office has a dog.", "Parking is free on Sundays.")


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer with the packaged model's vocabulary, random weights and one score."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(7)
    tokenizer = BertTokenizerFast.from_pretrained(str(model_dir()))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        num_labels=1,
        initializer_range=0.5,  # so that the scores of different texts differ
    )
    folder = tmp_path_factory.mktemp("reranker")
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def reranker(saved_model: Path) -> Reranker:
    return CrossEncoderReranker(str(saved_model))


async def test_a_score_for_each_hit_in_order(reranker: Reranker) -> None:
    hits = [hit(str(number), text=text) for number, text in enumerate(TEXTS)]
    scores = await reranker.rerank(QUESTION, hits)
    assert len(set(scores)) == 3
    assert all(isinstance(score, float) and 0 <= score <= 1 for score in scores)
    backwards = await reranker.rerank(QUESTION, hits[::-1])
    assert backwards == pytest.approx(scores[::-1], abs=1e-5)


async def test_a_score_does_not_depend_on_the_other_hits(reranker: Reranker) -> None:
    hits = [hit("a", text=TEXTS[0]), hit("b", text=" ".join(TEXTS * 5))]
    together = await reranker.rerank(QUESTION, hits)
    alone = [(await reranker.rerank(QUESTION, [one]))[0] for one in hits]
    assert together == pytest.approx(alone, abs=1e-5)


async def test_the_same_as_transformers_computes(reranker: Reranker, saved_model: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(saved_model)
    model = AutoModelForSequenceClassification.from_pretrained(saved_model).eval()
    passage = f"Refunds\n{TEXTS[0]}"  # the prefix says what a chunk in mid-section is about
    with torch.no_grad():
        logit = model(**tokenizer(QUESTION.text, passage, return_tensors="pt")).logits[0, 0]
    (score,) = await reranker.rerank(QUESTION, [hit("a", text=TEXTS[0])])
    assert score == pytest.approx(float(torch.sigmoid(logit)), abs=1e-5)


async def test_no_hits_no_scores(reranker: Reranker) -> None:
    assert await reranker.rerank(QUESTION, []) == []


async def test_a_chunk_longer_than_the_model_reads_is_cut_and_no_error(reranker: Reranker) -> None:
    (score,) = await reranker.rerank(QUESTION, [hit("a", text="word " * 2_000)])
    assert 0 <= score <= 1


async def test_it_leaves_the_event_loop(reranker: Reranker) -> None:
    hits = [hit(str(number), text="word " * 60) for number in range(64)]
    running = asyncio.create_task(reranker.rerank(QUESTION, hits))
    longest, last = 0.0, time.perf_counter()
    while not running.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    assert len(running.result()) == 64
    names = [thread.name for thread in threading.enumerate()]
    assert any(name.startswith("rerank") for name in names)
    assert longest < 1, "the loop went on turning meanwhile"


async def test_inside_a_retriever(reranker: Reranker) -> None:
    hits = [hit(str(number), text=text) for number, text in enumerate(TEXTS)]
    found = await RerankingRetriever(ListRetriever(hits), reranker).retrieve(QUESTION, 2)
    assert len(found) == 2
    assert found[0].score >= found[1].score


@pytest.mark.parametrize("name", ["no/such/folder", "empty"])
def test_a_model_that_is_not_there(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    if name == "empty":
        folder.mkdir()
    with pytest.raises(ModelError) as caught:
        CrossEncoderReranker(str(folder))
    message = str(caught.value)
    assert str(folder) in message
    assert message.endswith("when this machine can reach it")
    assert "\n" not in message


def test_an_embedding_model_is_refused_because_its_scores_would_be_random() -> None:
    with pytest.raises(ModelError, match="is no reranker but a BertModel"):
        CrossEncoderReranker(str(model_dir()))


def test_a_model_with_several_scores_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    tokenizer = BertTokenizerFast.from_pretrained(str(model_dir()))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=3,
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError) as caught:
        CrossEncoderReranker(str(tmp_path))
    assert "\n" not in str(caught.value)
