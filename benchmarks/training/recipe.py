"""Little data: the network on held-out subjects, from scratch, with a landmark-motion stream, and pre-trained.

    OMP_NUM_THREADS=1 python -m benchmarks.training.recipe [STORE ...] [--folds 5] [--seeds 0 1 2] [--pretrained RUN]

Without STORE, CK+'s (its stand-in where no licensed copy is named), written where it is missing. Each of several
stores is trained and tested on by itself, in folds; all their predictions are pooled. ``joint`` is the recipe with a
second stream for the landmarks' motion; the last row holds the predictions of that stream alone. RUN is a run of
``fer3d pretrain``; trainings that start from it are ``--epochs`` long. Beside them stands a linear classifier on how
far the same landmarks moved between the first and the last frame. ``above`` says whether the whole 95 % interval over
subjects lies above the majority-class rate; ``less ...`` is the paired difference on the same clips with its
interval. The row of all seeds counts each clip once per seed; the intervals of its
differences are over subjects and seeds. Finished trainings stay in
``--out``, so that several processes can divide the seeds and a last one collects the results.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer3d import config, files, labels, paths
from fer3d.data import splits
from fer3d.data.store import Store, open_store
from fer3d.evaluation import baselines, metrics
from fer3d.training.inference import predict
from fer3d.training.run import load_model
from fer3d.training.train import train
from fer3d.workbook import pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="*")
    parser.add_argument("--out", type=Path, default=paths.reports() / "recipe", help="where the trainings stay")
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    parser.add_argument("--profile", default="laptop", choices=config.PROFILES)
    parser.add_argument("--variant", default="3d+landmarks", choices=config.VARIANTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, default=1, help="how many of the profile's folds")
    parser.add_argument("--pretrained", type=Path, help="a finished run to start from, compared with from scratch")
    parser.add_argument("--epochs", type=int, default=8, help="of a training from pre-trained weights")
    chosen = parser.parse_args()
    stores = [open_store(path) for path in chosen.store] or [pipeline.store("ckplus", chosen.profile)]

    folds = range(chosen.folds)
    predictions = pd.concat([linear(store, folds, config.profile(chosen.profile).folds) for store in stores])
    rows = [row("linear", "", [predictions], {})]
    of_all = {"linear": pd.concat([predictions.assign(seed=seed) for seed in chosen.seeds])}
    ways: dict[str, tuple[str, Path | None, dict[str, Any]]] = {
        "from scratch": ("default", None, {}),
        "joint": ("joint", None, {}),
    }
    if chosen.pretrained:
        ways["pre-trained"] = ("default", chosen.pretrained, {"epochs": chosen.epochs})
    for name, (recipe, start, given) in ways.items():
        runs = Path(chosen.profile) / chosen.variant / name.replace(" ", "-")
        tables = []
        for seed in chosen.seeds:
            profile = config.make_profile(chosen.profile, chosen.variant, recipe, seed=seed, **given)
            done = [trained(store, profile, folds, start, chosen.out / store.path.name / runs) for store in stores]
            tables.append(pd.concat([table for table, _ in done]).assign(seed=seed))
            seconds = round(sum(taken for _, taken in done), 1)
            rows.append(row(name, str(seed), tables[-1:], {"linear": predictions}) | {"seconds": seconds})
        rows.append(row(name, "all", tables, of_all))
        of_all[name] = pd.concat(tables)
    joint = Path(chosen.profile) / chosen.variant / "joint"
    tables = [
        pd.concat([points_alone(store, folds, seed, chosen.out / store.path.name / joint) for store in stores]).assign(
            seed=seed
        )
        for seed in chosen.seeds
    ]
    rows.append(row("joint's points alone", "all", tables, of_all))
    if chosen.csv:
        files.write_csv(chosen.csv, pd.DataFrame(rows))


def linear(store: Store, folds: Sequence[int], of: int) -> pd.DataFrame:
    """The linear classifier's predictions for those folds."""
    classes = labels.CLASSES[store.database]
    held_out = [splits.fold_split(store.manifest, fold, of) for fold in folds]
    tables = [baselines.linear(store.manifest, store.landmarks, classes, *rows) for rows in held_out]
    return of_store(store, metrics.pool(tables))


def trained(
    store: Store, profile: config.Profile, folds: Sequence[int], pretrained: Path | None, runs: Path
) -> tuple[pd.DataFrame, float]:
    """The network's predictions for those folds, and the seconds that its trainings took."""
    places = [runs / f"fold{fold}-seed{profile.training.seed}" for fold in folds]
    seconds = [
        train([store], place, profile, fold=fold, pretrained=pretrained)["seconds"]
        for fold, place in zip(folds, places, strict=True)
    ]
    return of_store(store, metrics.pool([metrics.read_predictions(place) for place in places])), sum(seconds)


def points_alone(store: Store, folds: Sequence[int], seed: int, runs: Path) -> pd.DataFrame:
    """The predictions of the landmark-motion stream alone, in finished joint trainings."""
    tables = []
    for fold in folds:
        run = runs / f"fold{fold}-seed{seed}"
        model = load_model(run)
        model.network.settings = dataclasses.replace(model.network.settings, appearance_weight=0.0)
        tested = store.manifest["clip"].isin(metrics.read_predictions(run)["clip"])
        tables.append(predict(model, store, np.flatnonzero(tested)))
    return of_store(store, metrics.pool(tables))


def of_store(store: Store, predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions with the store's name before clips and subjects: two stand-ins use the same names."""
    return predictions.assign(**{name: f"{store.path.name} " + predictions[name] for name in ("clip", "subject")})


def row(name: str, seed: str, tables: list[pd.DataFrame], others: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """A row of the table, printed: metrics of one or all seeds, and how they differ from others' on the same clips."""
    predictions = pd.concat(tables)
    figures = metrics.evaluate(predictions)
    low, high = figures["interval"]
    result = {"name": name, "seed": seed, "n": figures["n"] // len(tables), "subjects": figures["subjects"]}
    result |= {"accuracy": figures["accuracy"], "low": low, "high": high, "uar": figures["uar"]}
    result |= {"majority": figures["majority"], "above": low > figures["majority"]}
    for other, given in others.items():
        difference = metrics.compare(predictions, given)
        result[f"less {other}"] = difference["difference"]
        result[f"less {other} low"], result[f"less {other} high"] = difference["interval"]
    print(
        "  ".join(
            f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in result.items()
        )
    )
    print(json.dumps({"benchmark": "recipe", **result}), flush=True)
    return result


if __name__ == "__main__":
    main()
