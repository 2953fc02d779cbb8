"""Does the recipe learn: held-out subjects, seed by seed, beside a linear classifier on the landmarks' motion.

    OMP_NUM_THREADS=1 python benchmarks/recipe.py [STORE] [--out DIR] [--profile laptop] [--seeds 0 1 2] [--folds 0]

Without STORE, CK+'s (its stand-in where no licensed copy is named), written where it is missing.
``above`` says whether the 95 % interval over subjects lies wholly above the majority's rate,
``less linear`` is the paired difference from the linear classifier on the same clips.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

from fer3d import config, evaluation, labels, paths, pipeline, splits, training
from fer3d.store import open_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=paths.reports() / "recipe", help="where the trainings stay")
    parser.add_argument("--profile", default="laptop", choices=config.PROFILES)
    parser.add_argument("--variant", default="3d+landmarks", choices=config.VARIANTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    chosen = parser.parse_args()
    profile = config.profile(chosen.profile)
    store = open_store(chosen.store) if chosen.store else pipeline.store("ckplus", profile.name)

    classes = labels.CLASSES[store.database]
    held_out = [splits.fold_split(store.manifest, fold, profile.folds) for fold in chosen.folds]
    linear = evaluation.pool(
        [evaluation.linear_baseline(store.manifest, store.landmarks, classes, *rows) for rows in held_out]
    )
    show("linear", evaluation.evaluate(linear))
    for seed in chosen.seeds:
        network = dataclasses.replace(profile.network, variant=chosen.variant)
        recipe = dataclasses.replace(profile.training, seed=seed)
        started, runs = time.perf_counter(), []
        for fold in chosen.folds:
            runs.append(chosen.out / profile.name / chosen.variant / f"fold{fold}-seed{seed}")
            training.train([store], runs[-1], dataclasses.replace(profile, network=network, training=recipe), fold=fold)
        seconds = time.perf_counter() - started
        pooled = evaluation.pool([evaluation.read_predictions(run) for run in runs])
        difference = evaluation.compare(pooled, linear)
        show(
            f"{chosen.variant} seed {seed}",
            evaluation.evaluate(pooled),
            {"seconds": round(seconds, 1), "less_linear": [difference["difference"], *difference["interval"]]},
        )


def show(name: str, figures: dict, more: dict | None = None) -> None:
    low, high = figures["interval"]
    print(
        f"{name:22s} accuracy {figures['accuracy']:.3f} [{low:.3f} {high:.3f}]  uar {figures['uar']:.3f}  "
        f"majority {figures['majority']:.3f}  above {low > figures['majority']}  n {figures['n']}",
        *(f"{key} {value}" for key, value in (more or {}).items()),
        flush=True,
    )
    print(json.dumps({"benchmark": "recipe", "name": name, **figures, **(more or {})}), flush=True)


if __name__ == "__main__":
    main()
