"""`rag tune`: the settings that reach a wanted quality at the fewest tokens and milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import CollectionOption, JsonOption, print_note, work_through_door
from rag.errors import InputError

QuestionsArgument = Annotated[
    Path, typer.Argument(metavar="QUESTIONS.jsonl", help="One question a line, with its gold.")
]
QualityOption = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="The quality wanted; by default that of now."),
]
MarginOption = Annotated[
    float, typer.Option(min=0, max=1, help="How far it may be below the quality of now, at worst.")
]
MeasureOption = Annotated[
    str | None,
    typer.Option(help="What quality is: a measure of `rag evaluate`, such as `nDCG@10`."),
]
SizesOption = Annotated[
    str | None,
    typer.Option(help="Sizes of chunks to try too, in tokens, such as `120,190,254`."),
]
RerankerOption = Annotated[
    list[str] | None, typer.Option(help="A reranker to try too; can be given several times.")
]
OutputOption = Annotated[
    Path, typer.Option(help="File for the settings; the report goes beside it.")
]
LimitOption = Annotated[
    int | None, typer.Option(min=2, help="Take a random sample of so many questions.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the sample, halves and intervals.")]


def tune(
    ctx: typer.Context,
    questions: QuestionsArgument,
    *,
    collection: CollectionOption = None,
    quality: QualityOption = None,
    margin: MarginOption = 0.01,
    measure: MeasureOption = None,
    chunk_sizes: SizesOption = None,
    reranker: RerankerOption = None,
    output: OutputOption = Path("rag.tuned.toml"),
    limit: LimitOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Find settings that are good enough and cheaper; changes nothing by itself."""
    from shutil import rmtree

    from api.cli.tables.evaluation import AskingBar
    from api.cli.tables.tuning import print_tuning
    from api.fitting.tuned_files import check_output, how_to_apply, write_tuning
    from api.fitting.tuning import TuningPlan
    from api.fitting.tuning import tune as tune_through
    from api.settings import load_settings
    from evaluation.loading import load_questions
    from evaluation.plots import check_plots
    from evaluation.tuning.outcome import tuning_as_json

    check_plots()
    check_output(output)
    overrides = {} if collection is None else {"collection": collection}
    plan = TuningPlan(
        question_file=questions,
        questions=load_questions(questions),
        overrides=overrides,
        quality=quality,
        margin=margin,
        measure=measure,
        chunk_sizes=_sizes(chunk_sizes),
        rerankers=reranker or (),
        limit=limit,
        seed=seed,
    )
    settings = load_settings(overrides)
    with AskingBar() as bar:
        tuning, folder = work_through_door(
            ctx, settings, lambda door: tune_through(door, plan, print_note, bar.show)
        )
    files = write_tuning(tuning, output)
    rmtree(folder, ignore_errors=True)
    print_note(f"written: {', '.join(map(str, files))}")
    for line in how_to_apply(tuning, output):
        print_note(line)
    if json:
        typer.echo(tuning_as_json(tuning))
    else:
        print_tuning(tuning)


def _sizes(told: str | None) -> list[int]:
    """The numbers between the commas. Raises InputError."""
    try:
        return [] if told is None else [int(one) for one in told.split(",")]
    except ValueError:
        raise InputError(
            f"--chunk-sizes is {told!r}: give whole numbers between commas, such as 120,190"
        ) from None
