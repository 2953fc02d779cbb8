"""The network fine-tuned from the shipped weights against the linear classifier, on stores that serve for nothing else.

    python -m benchmarks.training.finetuned STORE ... --out RUNS [--epochs 4 --lr 0.005]

Each store is divided into the profile's folds: the network starts from the shipped weights, and both learn from the
other folds' people. Beside them stand the shipped weights as they are. A row for each store and one for the clips of
all; ``less ...`` is the paired difference on the same clips, with its 95 % interval over subjects. Finished trainings
stay in ``--out``.
"""

import argparse
import dataclasses
from pathlib import Path

import pandas as pd

from benchmarks.training.recipe import linear, of_store, row, trained
from fer3d import config, files
from fer3d.data.store import Store, open_store
from fer3d.training.inference import predict_store
from fer3d.training.run import SHIPPED, load_model, read_network_settings, run_folder


def main() -> None:
    tuned = config.FinetuningSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="where the trainings stay")
    parser.add_argument("--epochs", type=int, default=tuned.epochs)
    parser.add_argument("--lr", type=float, default=tuned.lr)
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    chosen = parser.parse_args()
    start = run_folder(SHIPPED[0])
    profile = config.make_profile("tables", "3d+landmarks", epochs=chosen.epochs, lr=chosen.lr)
    profile = dataclasses.replace(profile, network=read_network_settings(start))
    made: dict[str, dict[str, pd.DataFrame]] = {}
    for store in map(open_store, chosen.store):
        folds = range(profile.folds)
        made[store.path.name] = {
            "linear": linear(store, folds, profile.folds),
            "shipped weights": as_they_are(store),
            "fine-tuned": trained(store, profile, folds, start, chosen.out / store.path.name)[0],
        }
    if len(made) > 1:
        names = next(iter(made.values()))
        made["all"] = {name: pd.concat([tables[name] for tables in made.values()]) for name in names}
    rows = []
    for of, tables in made.items():
        print(f"== {of}")
        others = {name: tables[name] for name in ("linear", "shipped weights")}
        rows.append({"store": of} | row("linear", "", [tables["linear"]], {}))
        rows.append(
            {"store": of} | row("shipped weights", "", [tables["shipped weights"]], {"linear": others["linear"]})
        )
        rows.append({"store": of} | row("fine-tuned", "0", [tables["fine-tuned"]], others))
    if chosen.csv:
        files.write_csv(chosen.csv, pd.DataFrame(rows))


def as_they_are(store: Store) -> pd.DataFrame:
    """The predictions of the shipped weights for all clips of a class that they know."""
    return of_store(store, predict_store(load_model(SHIPPED[0]), store)[0])


if __name__ == "__main__":
    main()
