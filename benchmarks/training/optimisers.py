"""Three optimisers: the default, the paper's asynchronous workers, and the paper's recipe as its text states it.

    OMP_NUM_THREADS=1 python -m benchmarks.training.optimisers [STORE] [--out DIR] [--csv FILE] [--profile laptop]
        [--epochs 12] [--seeds 0 1 2]

Without STORE, CK+'s (its stand-in where no licensed copy is named), written where it is missing. Fold 0
is held out; each training has the same number of steps. ``less default`` is the accuracy less that of the
default with the same seed, on the same clips, with its paired interval over subjects; a last row of each optimiser
is of all seeds, its interval over subjects and seeds. Notebook 04 shows the table that ``--csv`` writes.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from fer3d import config, files, paths
from fer3d.data.store import open_store
from fer3d.evaluation import metrics
from fer3d.training.train import train
from fer3d.workbook import pipeline

CHOICES = {
    "synchronous (default)": ("default", 0),
    "asynchronous, 2 workers": ("default", 2),
    "the paper's recipe": ("paper", 0),
}
"""Recipe and asynchronous workers of each."""
DEFAULT = next(iter(CHOICES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=paths.reports() / "optimisers", help="where the trainings stay")
    parser.add_argument("--csv", type=Path, help="the table, for notebook 04")
    parser.add_argument("--profile", default="laptop", choices=config.PROFILES)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    chosen = parser.parse_args()
    store = open_store(chosen.store) if chosen.store else pipeline.store("ckplus", chosen.profile)
    rows: list[dict] = []
    predictions: dict[str, list[pd.DataFrame]] = {name: [] for name in CHOICES}
    for seed in chosen.seeds:
        for name, (recipe, workers) in CHOICES.items():
            given = {"epochs": chosen.epochs, "seed": seed, "async_workers": workers, "device": "cpu"}
            profile = config.make_profile(chosen.profile, "3d+landmarks", recipe, **given)
            out = chosen.out / profile.name / name.replace(" ", "-") / f"seed{seed}"
            effort = effort_of(train([store], out, profile), out, profile)
            predictions[name].append(metrics.read_predictions(out).assign(seed=seed))
            compared = rates(predictions[name][-1:], predictions[DEFAULT][-1:])
            rows.append({"optimiser": name, "seed": seed, **effort, **compared})
            print(json.dumps({"benchmark": "optimisers", **rows[-1]}), flush=True)
    for name, tables in predictions.items():
        rows.append({"optimiser": name, "seed": "all", **rates(tables, predictions[DEFAULT])})
    table = pd.DataFrame(rows).sort_values("optimiser", kind="stable").convert_dtypes()
    print(table.to_string(index=False))
    if chosen.csv:
        files.write_csv(chosen.csv, table)


def effort_of(figures: dict, out: Path, profile: config.Profile) -> dict:
    """Steps, time and end of a finished training."""
    batches = -(-figures["train_clips"] // profile.training.batch_size)
    last = pd.read_csv(out / "log.csv").iloc[-1]
    return {
        "epochs": figures["epochs"],
        "steps": batches * figures["epochs"],
        "processes": max(1, profile.training.async_workers),
        "threads": files.read_json(out / "model.json")["made_with"]["threads"],
        "seconds": figures["seconds"],
        "loss": round(last["loss"], 3),
        "train_accuracy": round(last["train_accuracy"], 3),
    }


def rates(tables: list[pd.DataFrame], default: list[pd.DataFrame]) -> dict:
    """Accuracy on the test clips, and how it differs from the default's; of several seeds, each clip once a seed."""
    predictions = pd.concat(tables)
    figures, difference = metrics.evaluate(predictions), metrics.compare(predictions, pd.concat(default))
    measured = {
        "accuracy": figures["accuracy"],
        **dict(zip(("low", "high"), figures["interval"], strict=True)),
        "majority": figures["majority"],
        "less default": difference["difference"],
        **dict(zip(("less default low", "less default high"), difference["interval"], strict=True)),
    }
    clips = {"n": figures["n"] // len(tables), "subjects": figures["subjects"]}
    return {name: round(rate, 4) for name, rate in measured.items()} | clips


if __name__ == "__main__":
    main()
