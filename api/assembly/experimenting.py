"""An experiment, put together from the settings: a room of `build`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from api.assembly.paths import Path, Shared, open_path, open_reranker
from api.audit.log import WATCH, AuditLog, Deed
from api.setting_groups.experiment import CONTROL
from api.settings import Settings, load_settings
from api.state.opening import open_state
from generation.experiments.assignment import Arm, Experiment
from generation.experiments.findings import ArmResult, Rules
from generation.experiments.stopping import ArmAssigner, StoppedArms
from generation.experiments.watching import ExperimentWatch, WatchedAssigner
from generation.experiments.worth import Worths
from rag.errors import InputError, SettingsError
from rag.ports import Reranker
from rag.splitting import SplitPipeline

MAY_DIFFER = ("retrieval", "context", "answers", "reuse", "local", "premium", "decision")
"""The groups of settings that an arm may change: those by which answers are made."""


@dataclass(frozen=True, slots=True)
class Experimenting:
    """An experiment that runs: the split path, and the paths of the arms beside the control."""

    experiment: Experiment
    pipeline: SplitPipeline
    watch: ExperimentWatch
    assigner: WatchedAssigner
    paths: Sequence[Path]

    async def close(self) -> None:
        """Close the connections."""
        await self.assigner.close()
        for path in self.paths:
            await path.answering.close()


def open_experiment(
    settings: Settings, shared: Shared, control: Path, reranker: Reranker | None
) -> Experimenting | None:
    """The experiment that the settings name, around the path that is the control's; or None.

    `reranker` is that of the control. Raises MissingExtraError and SettingsError.
    """
    if settings.experiment.name is None:
        return None
    experiment = experiment_of(settings)
    pipelines = {CONTROL: control.pipeline.as_arm(experiment.label(CONTROL))}
    paths: list[Path] = []
    for name, own in settings_of_arms(settings).items():
        if name != CONTROL:
            is_same = own.retrieval.reranker == settings.retrieval.reranker
            path = open_path(own, shared, reranker if is_same else open_reranker(own))
            paths.append(path)
            pipelines[name] = path.pipeline.as_arm(experiment.label(name))
    watch = _watch(settings, shared.state, experiment)
    assigner = WatchedAssigner(ArmAssigner(experiment, StoppedArms(shared.state)), watch)
    pipeline = SplitPipeline(control.pipeline, pipelines, assigner)
    return Experimenting(experiment, pipeline, watch, assigner, paths)


def looked_at(settings: Settings) -> tuple[Experiment, list[ArmResult]]:
    """The experiment that the settings name, and how each of its arms stands, looked at just now.

    Raises InputError where they name none, StateError.
    """
    if settings.experiment.name is None:
        raise InputError(
            "no experiment runs: name one with RAG_EXPERIMENT__NAME, and give it arms in rag.toml"
        )
    experiment = experiment_of(settings)
    state = open_state(settings.data_dir, settings.state_url)
    try:
        watch = _watch(settings, state, experiment)
        watch.look()
        return experiment, watch.results()
    finally:
        state.dispose()


def experiment_of(settings: Settings) -> Experiment:
    """The experiment that the settings name, which must be there."""
    chosen = settings.experiment
    assert chosen.name is not None
    rest = 1 - sum(arm.share for arm in chosen.arms.values())
    arms = [Arm(CONTROL, rest), *(Arm(name, arm.share) for name, arm in chosen.arms.items())]
    return Experiment(chosen.name, tuple(arms), chosen.error)


def _watch(settings: Settings, state: Engine, experiment: Experiment) -> ExperimentWatch:
    def note(arm: str) -> None:
        stopped = Deed(WATCH, "", "experiment.stop_arm", experiment.label(arm))
        AuditLog(state).note(stopped)

    return ExperimentWatch(state, experiment, _rules(settings), on_stop=note)


def _rules(settings: Settings) -> Rules:
    chosen = settings.experiment
    used, edited, ignored = chosen.used_usd, chosen.edited_usd, chosen.ignored_usd
    worths = None
    if used is not None and edited is not None and ignored is not None:
        worths = Worths(used, edited, ignored)
    return Rules(worths, chosen.max_cost_ratio)


def settings_of_arms(settings: Settings) -> dict[str, Settings]:
    """By arm, the settings that it answers by; the control's are the ones given.

    Raises SettingsError for what no arm may change, and for a setting that is wrong.
    """
    found = {CONTROL: settings}
    whole = settings.model_dump(exclude={"experiment"})
    for name, arm in settings.experiment.arms.items():
        where = f"experiment.arms.{name}.set"
        foreign = sorted(set(arm.set) - set(MAY_DIFFER))
        if foreign or not arm.set:
            raise SettingsError(
                f"{where} has {', '.join(foreign) or 'nothing'}: an arm changes settings of "
                f"{', '.join(MAY_DIFFER)}"
            )
        try:
            found[name] = load_settings(_over(whole, arm.set))
        except SettingsError as error:
            raise SettingsError(f"{where}: {error}") from None
    return found


def _over(settings: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for name, value in changed.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[name] = _over(below, value)
        else:
            merged[name] = value
    return merged
