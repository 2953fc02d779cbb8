"""How hard the databases are for a linear classifier on how far the points moved: within and across databases.

    python -m benchmarks.standins.difficulty [--profile laptop] [--csv FILE]

Stores that are missing are made first, stand-ins included (minutes). The classifier is
`metrics.linear_baseline`: scaled logistic regression on the detected points of a clip's
last frame less those of a reference frame, after the face's own shift and size are taken
out. Two references, one rule for all databases:

- ``clip``: the clip's own first frame, as for the network's bar in notebook 05. Clips that
  are cut from the middle of a recording (all but CK+'s) don't begin at rest;
- ``recording``: the first frame of the recording's first clip, where most faces are at rest.

Within: five subject-independent folds, pooled. Across: trained on the three other databases,
tested on every clip whose class they teach (Table 2 of the paper). ``loss`` is the accuracy
within on those very clips less that across, paired; intervals are 95 % bootstrap over subjects.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from fer3d import config, files, labels
from fer3d.data import splits
from fer3d.data.store import Store
from fer3d.evaluation import metrics
from fer3d.workbook import pipeline

REFERENCES = ("clip", "recording")


def ends(store: Store, reference: str) -> np.ndarray:
    """(N, 2, 66, 2) pixels: the points of each clip's reference frame and of its last frame."""
    rows = np.arange(len(store))
    if reference == "recording":
        table = store.manifest
        rows = table.groupby(["subject", "sequence"])["first_frame"].transform("idxmin").to_numpy(dtype=int)
    return np.stack([store.landmarks[rows, 0], store.landmarks[:, -1]], axis=1)


def within(store: Store, points: np.ndarray, folds: int) -> pd.DataFrame:
    """Predictions for every clip by the fold in which its subject is held out, pooled."""
    parts = [splits.fold_split(store.manifest, fold, folds) for fold in range(folds)]
    classes = labels.CLASSES[store.database]
    return metrics.pool([metrics.linear_baseline(store.manifest, points, classes, *rows) for rows in parts])


def across(train: list[Store], test: Store, points: list[np.ndarray]) -> pd.DataFrame:
    """Predictions for a held-out database's clips whose class the others teach; ``points``: theirs, then the test's."""
    learned, known, _ = splits.cross_split([store.manifest for store in train], test.manifest)
    manifest = pd.concat([store.manifest for store in (*train, test)], ignore_index=True)
    taught = len(manifest) - len(test)
    return metrics.linear_baseline(manifest, np.concatenate(points), learned, np.arange(taught), taught + known)


def row(predictions: pd.DataFrame, **about: str) -> dict[str, Any]:
    """A line of the table; rates in per cent."""
    told = metrics.evaluate(predictions)
    rates = {"accuracy": told["accuracy"], "low": told["interval"][0], "high": told["interval"][1]}
    rates["majority"] = told["majority"]
    return about | {"n": told["n"], "subjects": told["subjects"]} | _percent(rates)


def loss(own: pd.DataFrame, foreign: pd.DataFrame) -> dict[str, float]:
    """What training on other databases costs on the same clips, in points of 100."""
    same = own[own["clip"].isin(foreign["clip"])]
    told = metrics.compare(same, foreign)
    return _percent({"loss": told["difference"], "loss_low": told["interval"][0], "loss_high": told["interval"][1]})


def _percent(shares: dict[str, float]) -> dict[str, float]:
    return {name: round(100 * share, 1) for name, share in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="laptop", choices=config.PROFILES)
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    asked = parser.parse_args()
    stores = {name: pipeline.store(name, asked.profile) for name in labels.TITLES}
    rows = []
    for reference in REFERENCES:
        points = {name: ends(store, reference) for name, store in stores.items()}
        for name, store in stores.items():
            others = [other for other in stores if other != name]
            own = within(store, points[name], config.profile(asked.profile).folds)
            foreign = across([stores[o] for o in others], store, [points[o] for o in (*others, name)])
            about = {"reference": reference, "tested_on": pipeline.title(name)}
            rows.append(row(own, **about, trained_on="itself, 5 folds"))
            rows.append(row(foreign, **about, trained_on="the three others") | loss(own, foreign))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, na_rep=""))
    if asked.csv:
        files.write_csv(asked.csv, table)
    print(json.dumps({"benchmark": "difficulty", "profile": asked.profile, "rows": rows}))


if __name__ == "__main__":
    main()
