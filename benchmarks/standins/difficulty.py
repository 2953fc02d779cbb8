"""How hard the databases are for a linear classifier on landmark displacement, within and across databases.

    python -m benchmarks.standins.difficulty [--profile laptop] [--csv FILE]

Missing stores are prepared first, stand-ins included (minutes). The classifier is
`metrics.linear_baseline`: logistic regression on the detected landmarks of a clip's last frame
minus those of a reference frame, after removing the face's own position and size. Two
references, the same for all databases:

- ``clip``: the clip's own first frame, as for the baseline in notebook 05. Clips cut from the
  middle of a recording (in all databases but CK+) do not start at rest;
- ``recording``: the first frame of the recording's first clip, in which most faces are at rest.

Within: five subject-independent folds, pooled. Across: trained on the three other databases,
tested on every clip whose class they contain (Table 2 of the paper). ``loss`` is the accuracy
within minus that across on the same clips, paired; intervals are 95 % over subjects.
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
    """(N, 2, 66, 2) pixels: the landmarks of each clip's reference frame and of its last frame."""
    rows = np.arange(len(store))
    if reference == "recording":
        table = store.manifest
        rows = table.groupby(["subject", "sequence"])["first_frame"].transform("idxmin").to_numpy(dtype=int)
    return np.stack([store.landmarks[rows, 0], store.landmarks[:, -1]], axis=1)


def within(store: Store, landmarks: np.ndarray, folds: int) -> pd.DataFrame:
    """Predictions for every clip by the fold in which its subject is held out, pooled."""
    parts = [splits.fold_split(store.manifest, fold, folds) for fold in range(folds)]
    classes = labels.CLASSES[store.database]
    return metrics.pool([metrics.linear_baseline(store.manifest, landmarks, classes, *rows) for rows in parts])


def across(train: list[Store], test: Store, landmarks: list[np.ndarray]) -> pd.DataFrame:
    """Predictions for a held-out database's clips of learned classes. ``landmarks``: of ``train``, then of ``test``."""
    learned, known, _ = splits.cross_split([store.manifest for store in train], test.manifest)
    manifest = pd.concat([store.manifest for store in (*train, test)], ignore_index=True)
    n = len(manifest) - len(test)
    return metrics.linear_baseline(manifest, np.concatenate(landmarks), learned, np.arange(n), n + known)


def row(predictions: pd.DataFrame, **columns: str) -> dict[str, Any]:
    """A row of the table; rates in per cent."""
    result = metrics.evaluate(predictions)
    rates = {"accuracy": result["accuracy"], "low": result["interval"][0], "high": result["interval"][1]}
    rates["majority"] = result["majority"]
    return columns | {"n": result["n"], "subjects": result["subjects"]} | _percent(rates)


def loss(own: pd.DataFrame, foreign: pd.DataFrame) -> dict[str, float]:
    """Loss of accuracy on the same clips by training on other databases, in percentage points."""
    same = own[own["clip"].isin(foreign["clip"])]
    result = metrics.compare(same, foreign)
    low, high = result["interval"]
    return _percent({"loss": result["difference"], "loss_low": low, "loss_high": high})


def _percent(shares: dict[str, float]) -> dict[str, float]:
    return {name: round(100 * share, 1) for name, share in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="laptop", choices=config.PROFILES)
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    stores = {name: pipeline.store(name, arguments.profile) for name in labels.PAPER}
    rows = []
    for reference in REFERENCES:
        landmarks = {name: ends(store, reference) for name, store in stores.items()}
        for name, store in stores.items():
            others = [other for other in stores if other != name]
            own = within(store, landmarks[name], config.profile(arguments.profile).folds)
            foreign = across([stores[o] for o in others], store, [landmarks[o] for o in (*others, name)])
            columns = {"reference": reference, "tested_on": pipeline.title(name)}
            rows.append(row(own, **columns, trained_on="itself, 5 folds"))
            rows.append(row(foreign, **columns, trained_on="the three others") | loss(own, foreign))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, na_rep=""))
    if arguments.csv:
        files.write_csv(arguments.csv, table)
    print(json.dumps({"benchmark": "difficulty", "profile": arguments.profile, "rows": rows}))


if __name__ == "__main__":
    main()
