"""Distillation, put together from the settings: lessons kept beside answers, and their export."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Engine

from api.settings import Settings
from api.state.opening import open_state
from generation.distilling.choosing import Choice, Rules, choose
from generation.distilling.learning import LessonWriter
from generation.distilling.lessons import JudgedLesson, Lesson, Lessons
from indexing.manifest.manifest import Manifest
from rag.errors import InputError
from rag.ports import Revisions

STANDARD_OUTPUT = Path("-")
_AT_ONCE = 500
_CONSENT = "RAG_DISTILLATION__COLLECTIONS"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and what was left out by reason.

    Of the `exported` lessons `verified` were judged right, `corrected` teach what a person wrote
    instead, and `abstained` to say that the documents do not answer. `withdrawn` were deleted
    because their collection consents no longer, and `outdated` because a document behind them is
    not what it was.
    """

    exported: int
    verified: int
    corrected: int
    abstained: int
    left_out: dict[str, int]
    withdrawn: int
    outdated: int


def open_lessons(settings: Settings, state: Engine) -> Lessons:
    """What is kept by these settings."""
    chosen = settings.distillation
    return Lessons(state, max_lessons=chosen.max_lessons, keep_days=chosen.keep_days)


def open_lesson_writer(settings: Settings, lessons: Lessons, revisions: Revisions) -> LessonWriter:
    """What keeps lessons by these settings: none, where no collection consents.

    Deletes the lessons of collections that consent no longer, and those that are too old. Raises
    StateError.
    """
    consented = settings.distillation.collections
    withdrawn = lessons.delete_all_but(consented)
    if withdrawn:
        _log.warning(
            "%s lessons were deleted, since their collections are not in %s", withdrawn, _CONSENT
        )
    if consented:
        lessons.prune()
    return LessonWriter(lessons, revisions, consented)


def export_lessons(
    settings: Settings, collection: str | None, rules: Rules, output: Path
) -> Exported:
    """Write the lessons that are worth training on into a JSONL file, `-` for standard output.

    They are of one collection, or (None) of all that consent. Lessons of others are deleted.
    Raises InputError where there is nothing to write or it cannot be written, and StateError.
    """
    chosen = _consenting(settings, collection)
    state = open_state(settings.data_dir, settings.state_url)
    try:
        lessons = open_lessons(settings, state)
        withdrawn = lessons.delete_all_but(settings.distillation.collections)
        lessons.prune()
        outdated = _delete_outdated(lessons, Manifest(state), chosen)
        choice = choose(lessons.judged(chosen), rules)
        _check(choice, chosen)
        written = _write(lessons, choice, output)
    finally:
        state.dispose()
    return Exported(
        exported=len(written),
        verified=sum(one.is_right is True for one in written),
        corrected=sum(one.correction is not None for one in written),
        abstained=sum(one.is_abstained for one in written),
        left_out={str(reason): count for reason, count in sorted(choice.left_out.items())},
        withdrawn=withdrawn,
        outdated=outdated,
    )


def _consenting(settings: Settings, collection: str | None) -> list[str]:
    """The collections to export. Raises InputError for one that does not consent."""
    consented = settings.distillation.collections
    if not consented:
        raise InputError(
            f"no collection consents that lessons are kept of it: name those that do in {_CONSENT}"
        )
    if collection is None:
        return list(consented)
    if collection not in consented:
        raise InputError(
            f"collection {collection!r} does not consent, {', '.join(consented)} does: name it in "
            f"{_CONSENT}, and lessons are kept of it from the next start on"
        )
    return [collection]


def _delete_outdated(lessons: Lessons, manifest: Manifest, collections: Sequence[str]) -> int:
    """Delete what a killed process has left of documents that are not what they were.

    While processes live, whoever changes or forgets a document does so.
    """
    deleted = 0
    for collection in collections:
        then = lessons.documents(collection)
        gone = asyncio.run(_not_as_they_were(manifest, collection, then))
        deleted += lessons.delete_made_from(collection, gone)
    return deleted


async def _not_as_they_were(
    manifest: Manifest, collection: str, then: Sequence[tuple[str, str]]
) -> list[str]:
    gone: list[str] = []
    for first in range(0, len(then), _AT_ONCE):
        some = then[first : first + _AT_ONCE]
        now = await manifest.current(collection, [name for name, _ in some])
        gone += [name for name, revision in some if now.get(name) != revision]
    return gone


def _check(choice: Choice, collections: Sequence[str]) -> None:
    if choice.lessons:
        return
    if not choice.left_out:
        raise InputError(
            f"no lesson is kept of {', '.join(collections)}: one is whenever the premium tier "
            "answers what a cheaper one was not sure of, so ask some questions first"
        )
    told = "; ".join(f"{count:,} {reason}" for reason, count in choice.left_out.items())
    raise InputError(
        f"of {sum(choice.left_out.values()):,} lessons none is fit to train on ({told}): send "
        "verdicts to /v1/feedback, or lower --min-confidence"
    )


def _write(lessons: Lessons, choice: Choice, output: Path) -> list[JudgedLesson]:
    """Write the chosen lessons; gives those that were still there."""
    judged = {one.answer_id: one for one in choice.lessons}
    written: list[JudgedLesson] = []
    with _opened(output) as file:
        for lesson in lessons.load(list(judged)):
            verdict = judged[lesson.answer_id]
            file.write(f"{json.dumps(_as_json(lesson, verdict), ensure_ascii=False)}\n")
            written.append(verdict)
    return written


@contextmanager
def _opened(output: Path) -> Iterator[TextIO]:
    """A file that is there once it is whole. Raises InputError where it cannot be written."""
    if output == STANDARD_OUTPUT:
        yield sys.stdout
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise InputError(
            f"{output} cannot be written ({error.strerror}): give another file with --output"
        ) from None
    finally:
        with suppress(OSError):  # it has become the file, or there never was one
            part.unlink()


def _as_json(lesson: Lesson, judged: JudgedLesson) -> dict[str, Any]:
    verdict = "corrected" if judged.correction else {True: "right", None: None}[judged.is_right]
    return {
        "messages": [
            {"role": "system", "content": lesson.prompt.system},
            {"role": "user", "content": lesson.prompt.user},
            {"role": "assistant", "content": judged.taught},
        ],
        "answer_id": lesson.answer_id,
        "collection": lesson.collection,
        "question": lesson.question,
        "context_documents": sorted(lesson.documents),
        "verdict": verdict,
        "confidence": round(judged.confidence, 4),
        "model": lesson.model,
        "prompt_version": lesson.prompt.version,
    }
