"""How hard the synthetic databases are, and what there is to learn: linear classifiers within and across databases.

    python -m benchmarks.standins.difficulty [--profile laptop] [--csv FILE]

Missing stores are prepared first, stand-ins included (minutes). The classifier is logistic regression
(scikit-learn); what it sees differs:

- ``detected landmarks, motion``: the displacement from a reference frame to the clip's last frame, without the face's
  own position and size, as in `baselines.linear`. The reference is the clip's own first frame (``clip``), as
  in notebook 05, or the first frame of the recording's first clip (``recording``), in which most faces are at rest;
- ``true landmarks, motion`` and ``true landmarks, motion and place``: the renderer's landmarks instead of the
  detector's; and in addition where each lies in the face, on the average of the clip;
- ``true action units``: the mean intensity of each unit over the clip, and its change from the first frame to the
  last. No picture and no landmark is needed, so this is what a perfect observer of the face could use.

What is true is known of stand-ins only: a licensed copy has the first rows alone.

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
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fer3d import config, files, labels, standins
from fer3d.data import splits
from fer3d.data.landmarks import KEPT, displacement, shape
from fer3d.data.store import Store
from fer3d.evaluation import metrics
from fer3d.workbook import pipeline

DETECTED, TRUE = "detected landmarks, motion", "true landmarks, motion"
PLACE, UNITS = "true landmarks, motion and place", "true action units"
SEEN = ((DETECTED, "clip"), (DETECTED, "recording"), (TRUE, "clip"), (PLACE, "clip"), (UNITS, "clip"))
"""What a classifier sees, and the frame from which motion and change are measured."""


def features(store: Store, root: Path, seen: str, reference: str) -> np.ndarray:
    """(N, features) of each clip. ``root``: the stand-in's release, whose ground truth is read where ``seen`` is true.

    The frames of a clip are `Store.numbers`, so that padded clips and those of frames in between are found, too.
    """
    if seen == DETECTED:
        return motion(np.stack([store.landmarks[reference_rows(store, reference), 0], store.landmarks[:, -1]], axis=1))
    if seen == UNITS:
        units = truth(store, root, "units").mean(axis=2)
        return np.hstack([units.mean(axis=1), units[:, -1] - units[:, 0]])
    landmarks = truth(store, root, "landmarks")[:, :, KEPT]
    places = shape(torch.tensor(landmarks)).mean(dim=1).flatten(1).numpy()
    return np.hstack([motion(landmarks), places]) if seen == PLACE else motion(landmarks)


def motion(landmarks: np.ndarray) -> np.ndarray:
    """(N, 132) how far each landmark moved from the first of the frames (N, T, 66, 2) to the last."""
    return displacement(torch.tensor(landmarks))[:, -1].flatten(1).numpy()


def reference_rows(store: Store, reference: str) -> np.ndarray:
    """(N,) the clip whose first frame each clip's motion is measured from: itself, or the recording's first."""
    if reference == "clip":
        return np.arange(len(store))
    return store.manifest.groupby(["subject", "sequence"])["first_frame"].transform("idxmin").to_numpy(dtype=int)


def truth(store: Store, root: Path, kind: str) -> np.ndarray:
    """(N, T, ...) the ``units`` or ``landmarks`` that the renderer drew in each frame."""
    folder, rows = standins.truth_folder(root), store.manifest[["subject", "sequence"]].itertuples(index=False)
    return np.stack(
        [np.load(folder / row.subject / f"{row.sequence}.{kind}.npy")[store.numbers[i]] for i, row in enumerate(rows)]
    )


def classify(
    manifest: pd.DataFrame, seen: np.ndarray, classes: tuple[str, ...], train: np.ndarray, test: np.ndarray
) -> pd.DataFrame:
    """Predictions of the rows ``test`` by logistic regression on the features of the rows ``train``."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(seen[train], manifest["label"].iloc[train])
    found = pd.DataFrame(model.predict_proba(seen[test]), columns=model.classes_)
    return metrics.predictions_table(
        manifest.iloc[test], classes, found.reindex(columns=classes, fill_value=0).to_numpy()
    )


def within(store: Store, seen: np.ndarray, folds: int) -> pd.DataFrame:
    """Predictions for every clip by the fold in which its subject is held out, pooled."""
    parts = [splits.fold_split(store.manifest, fold, folds) for fold in range(folds)]
    return metrics.pool([classify(store.manifest, seen, labels.CLASSES[store.database], *rows) for rows in parts])


def across(train: list[Store], test: Store, seen: list[np.ndarray]) -> pd.DataFrame:
    """Predictions for a held-out database's clips of learned classes. ``seen``: of ``train``, then of ``test``."""
    learned, known, _ = splits.cross_split([store.manifest for store in train], test.manifest)
    manifest = pd.concat([store.manifest for store in (*train, test)], ignore_index=True)
    n = len(manifest) - len(test)
    return classify(manifest, np.concatenate(seen), learned, np.arange(n), n + known)


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
    profile = config.profile(arguments.profile)
    known = not any(pipeline.licensed(name) for name in stores)
    rows = []
    for seen, reference in SEEN if known else SEEN[:2]:
        found = {
            name: features(store, pipeline.release_folder(name, arguments.profile), seen, reference)
            for name, store in stores.items()
        }
        for name, store in stores.items():
            others = [other for other in stores if other != name]
            own = within(store, found[name], pipeline.number_of_folds(name, profile))
            foreign = across([stores[o] for o in others], store, [found[o] for o in (*others, name)])
            columns = {"features": seen, "reference": reference, "tested_on": pipeline.title(name)}
            rows.append(row(own, **columns, trained_on="itself, 5 folds"))
            rows.append(row(foreign, **columns, trained_on="the three others") | loss(own, foreign))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, na_rep=""))
    if arguments.csv:
        files.write_csv(arguments.csv, table)
    print(json.dumps({"benchmark": "difficulty", "profile": arguments.profile, "rows": rows}))


if __name__ == "__main__":
    main()
