"""What the tests share: the real model, the real engine, real state, and where the data is."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from fakes import (
    CHUNK_TOKENS,
    CountingEmbedder,
    FileLoader,
    FindData,
    HashingEmbedder,
    Indexing,
    MakeIndexing,
    OpenStore,
    ThreadReader,
)
from hypothesis import settings as hypothesis_settings
from postgres import Cluster, find_programs, running_cluster
from pydantic import SecretStr
from sqlalchemy import Engine

from api.state.opening import open_state
from indexing.chunking import StructuralChunker
from indexing.embedding.packaged import PackagedEmbedder, PackagedTokenizer
from indexing.ingesting.parts import Parts
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.manifest.manifest import Manifest
from indexing.manifest.quotes import Quotes
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from rag.ports import ChunkStore, Embedder

ROOT = Path(__file__).resolve().parents[1]

# The same examples in every run, no files beside the tests, no limit that a busy machine breaks.
hypothesis_settings.register_profile("rag", derandomize=True, database=None, deadline=None)
hypothesis_settings.load_profile("rag")


@pytest.fixture(scope="session")
def find_data() -> FindData:
    """Finds a folder of the trial data; the test is skipped where it is not there."""
    data = Path(os.environ.get("RAG_TEST_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        if not (data / name).exists():
            pytest.skip(f"no trial data at {data / name}: set RAG_TEST_DATA to their folder")
        return data / name

    return find


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session keeps the graph of the packaged model, built once."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def embedder(model_cache: Path) -> PackagedEmbedder:
    """The packaged model, shared: it has no state of its own."""
    return PackagedEmbedder(model_cache, threads=2)


@pytest.fixture(scope="session")
def tokenizer() -> PackagedTokenizer:
    """The packaged model's tokenizer."""
    return PackagedTokenizer()


@pytest.fixture(scope="session")
def _fresh_stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """Folders of empty stores to copy: making one takes the engine half a second."""
    made: dict[tuple[str, int], Path] = {}

    def find(fingerprint: str, dimension: int) -> Path:
        key = (fingerprint, dimension)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("fresh") / "store"
            QdrantEdgeStore(made[key], fingerprint, dimension)._shard.close()
        return made[key]

    return find


@pytest.fixture
async def open_store(
    _fresh_stores: Callable[[str, int], Path], tmp_path: Path
) -> AsyncIterator[OpenStore]:
    """Opens embedded stores; those that the test leaves open are closed."""
    async with AsyncExitStack() as stack:

        def open_(
            folder: Path | None = None, fingerprint: str = "test", dimension: int = 8
        ) -> QdrantEdgeStore:
            folder = folder or tmp_path / "store"
            if not folder.exists():
                shutil.copytree(
                    _fresh_stores(fingerprint, dimension), folder, copy_function=_copy_data
                )
            store = QdrantEdgeStore(folder, fingerprint, dimension)
            stack.push_async_callback(_close_if_open, store)
            return store

        yield open_


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of the session's own; the test is skipped where it is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: install the package postgresql, or put initdb on the path")
    with running_cluster(programs) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _migrated_database(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database to copy, with all tables and nothing in them."""
    name = postgres.create_database()
    open_state(tmp_path_factory.mktemp("state"), SecretStr(postgres.url(name))).dispose()
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest) -> SecretStr | None:
    """What a state is opened by: None for a file, and a database of the test's own."""
    if request.param == "sqlite":
        return None
    cluster: Cluster = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("_migrated_database")
    return SecretStr(cluster.url(cluster.create_database(template)))


@pytest.fixture
def state_engine(state_url: SecretStr | None, tmp_path: Path) -> Iterator[Engine]:
    """An empty state, once in SQLite and once in PostgreSQL: every test runs on both."""
    engine = open_state(tmp_path / "state", state_url)
    yield engine
    engine.dispose()


@pytest.fixture
def open_manifest(tmp_path: Path) -> Iterator[Callable[[], tuple[Manifest, Engine]]]:
    """Opens the manifest of a folder in SQLite, as the application does."""
    engines: list[Engine] = []

    def open_(folder: Path | None = None) -> tuple[Manifest, Engine]:
        engine = open_state(folder or tmp_path)
        engines.append(engine)
        return Manifest(engine), engine

    yield open_
    for engine in engines:
        engine.dispose()


@pytest.fixture
def make_indexing(
    tmp_path: Path,
    tokenizer: PackagedTokenizer,
    open_store: OpenStore,
    open_manifest: Callable[[Path], tuple[Manifest, Engine]],
) -> MakeIndexing:
    """Puts the documents path together in a folder, around the real engine and manifest.

    The embedder is a fake that needs no time, unless the test gives another.
    """

    def make(
        embedder: Embedder | None = None,
        *,
        folder: Path | None = None,
        chunk_tokens: int = CHUNK_TOKENS,
        wrap_store: Callable[[ChunkStore], ChunkStore] = lambda store: store,
        wrap_manifest: Callable[[Manifest], Manifest] = lambda manifest: manifest,
    ) -> Indexing:
        folder = folder or tmp_path / "data"
        counting = CountingEmbedder(embedder or HashingEmbedder())
        store = open_store(folder / "store", counting.fingerprint, counting.dimension)
        manifest, state = open_manifest(folder)
        parts = Parts(
            reader=ThreadReader(),
            loader=FileLoader(ThreadReader()),
            chunker=StructuralChunker(tokenizer, chunk_tokens),
            tokenizer=tokenizer,
            embedder=counting,
            store=wrap_store(store),
            manifest=wrap_manifest(manifest),
            quotes=Quotes(state),
        )
        pipeline = IngestionPipeline(parts)
        return Indexing(pipeline, store, manifest, counting, state)

    return make


async def _close_if_open(store: QdrantEdgeStore) -> None:
    if not store._writer._shutdown:
        await store.close()


def _copy_data(source: str, target: str) -> None:
    """Copy a file without its holes: the engine's are a hundred megabytes of nothing."""
    with open(source, "rb") as old, open(target, "wb") as new:
        end = os.fstat(old.fileno()).st_size
        new.truncate(end)
        position = 0
        while position < end:
            try:
                position = os.lseek(old.fileno(), position, os.SEEK_DATA)
            except OSError:  # nothing but a hole from here
                return
            hole = os.lseek(old.fileno(), position, os.SEEK_HOLE)
            os.pwrite(new.fileno(), os.pread(old.fileno(), hole - position, position), position)
            position = hole
