"""Tables of predictions as a training leaves them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fer3d import labels
from fer3d.evaluation import metrics


def predictions(
    truth: Sequence[str],
    predicted: Sequence[str],
    subjects: Sequence[str] | None = None,
    classes: Sequence[str] = labels.CLASSES["ckplus"],
    start: int = 0,
    clip: str = "c",
) -> pd.DataFrame:
    """A table in which the predicted classes have probability 0.7.

    Clips are named ``clip`` and their number from ``start`` on; each is of its own subject where none are given.
    """
    N, K = len(truth), len(classes)
    manifest = pd.DataFrame(
        {
            "clip": [f"{clip}{start + i}" for i in range(N)],
            "subject": subjects or [f"S{start + i}" for i in range(N)],
            "database": "ckplus",
            "label": truth,
        }
    )
    probabilities = np.full((N, K), 0.3 / (K - 1))
    probabilities[np.arange(N), [classes.index(name) for name in predicted]] = 0.7
    return metrics.predictions_table(manifest, classes, probabilities)
