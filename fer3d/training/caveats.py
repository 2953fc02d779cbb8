"""What to know beside the figures of runs: classes not learned, clips left out, synthetic data, unlike settings."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fer3d import labels
from fer3d.data.store import Store
from fer3d.errors import InputError
from fer3d.evaluation.metrics import evaluate
from fer3d.training.inference import predict_store
from fer3d.training.run import learned_by, load_model, read_config, read_or_empty


def of_runs(runs: Sequence[Path]) -> dict[str, Any]:
    """What `lines` needs to know of folders of runs; a folder that holds only predictions adds nothing.

    Returns:
        ``left_out`` and ``never_seen``, numbers of clips by class; ``synthetic``, the titles of stand-ins; ``differ``,
        the names of the settings in which the runs differ.
    """
    left_out, never = Counter[str](), Counter[str]()
    for run in runs:
        metrics = read_or_empty(run, "metrics.json")
        left_out.update(metrics.get("left_out") or {})
        never.update(tested(metrics, metrics.get("never_seen") or ()))
    titles = {title for run in runs for title in synthetic(run)}
    made = [settings for run in runs if (settings := _settings(run))]
    differ = sorted(name for name in set().union(*made) if len({repr(each.get(name)) for each in made}) > 1)
    return {"left_out": dict(left_out), "never_seen": dict(never), "synthetic": sorted(titles), "differ": differ}


def _settings(run: Path) -> dict[str, Any]:
    """The settings of a run and its number of folds, without those in which runs of one kind may differ.

    Empty where the folder holds no run, or a damaged one.
    """
    with contextlib.suppress(InputError):
        config = read_config(run)
        parts = {part: config["profile"][part] for part in ("network", "training", "clips")}
        named = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
        named["folds"] = config["data"]["split"].get("folds")
        return {name: named[name] for name in named.keys() - _MAY_DIFFER}
    return {}


_MAY_DIFFER = {"training.seed", "training.device", "training.precision", "training.compile"}


def never_seen(run: Path | str) -> list[str]:
    """The classes of a run's network that had no training clip."""
    return list(read_or_empty(run, "metrics.json").get("never_seen") or ())


def synthetic(run: Path | str, *stores: Store) -> list[str]:
    """The titles of the stand-ins among the databases of a run and of stores."""
    model = read_or_empty(run, "model.json")
    titles = {*(model.get("titles") or {}).values(), *(store.title for store in stores)}
    return sorted(title for title in titles if title.endswith(labels.SYNTHETIC))


def evaluate_store(run: Path | str, store: Store) -> dict[str, Any]:
    """How well the network of a finished run predicts the clips of any prepared store.

    Returns:
        `metrics.evaluate` of `predict_store`, and ``left_out``, the clips of each label that the network has not
        learned; ``never_seen``, the tested clips of each class that had no training clip; ``synthetic``, the titles of
        stand-ins among the data; ``trained_on``, whether the network, or one that it was started from, learned from
        this store; ``trained_on_database``, the same of any store of this database: the figures are then a test only
        if no person is in both.

    Raises:
        InputError: as `predict_store`; or there is no finished run.
    """
    predictions, left_out = predict_store(load_model(run), store)
    results, learned = evaluate(predictions), learned_by(read_config(run))
    return results | {
        "left_out": left_out,
        "never_seen": tested(results, never_seen(run)),
        "synthetic": synthetic(run, store),
        "trained_on": any(source["fingerprint"] == store.metadata["fingerprint"] for source in learned),
        "trained_on_database": any(source["database"] == store.database for source in learned),
    }


def tested(metrics: Mapping[str, Any], classes: Iterable[str]) -> dict[str, int]:
    """The tested clips of each of these classes, from `metrics.evaluate`; classes without any are left out."""
    counts = dict(zip(metrics.get("labels", ()), map(sum, metrics.get("confusion", ())), strict=True))
    return {name: counts[name] for name in classes if counts.get(name)}


def lines(found: Mapping[str, Any]) -> list[str]:
    """The sentences to print below the figures."""
    said = []
    if found.get("differ"):
        said.append(f"these runs are not of one kind, they differ in: {', '.join(found['differ'])}")
    if found.get("never_seen"):
        said.append(f"tested, but in no training clip: {_listed(found['never_seen'])}")
    if found.get("left_out"):
        said.append(f"left out, since the network has not learned their class: {_listed(found['left_out'])}")
    if found.get("synthetic"):
        said.append(f"These data are not of real people: {', '.join(found['synthetic'])}.")
    return said


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
