"""Predictions without a network: a linear classifier, a traditional method of Section 2, the most frequent class.

The **linear classifier** sees only how far the landmarks moved.

**LBP-TOP with a linear SVM** (Zhao & Pietikäinen, Dynamic Texture Recognition Using Local Binary Patterns with an
Application to Facial Expressions, PAMI 2007) stands for the traditional methods that the paper names (LBP, HOG and
others). It extends LBP to videos: two of its three planes contain the time axis. HOG would see single frames.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from fer3d.data.landmarks import displacement
from fer3d.evaluation.metrics import predictions_table

NEIGHBOURS, RADIUS = 8, 1
"""Neighbours and radius of a local binary pattern, in pixels and frames; a larger radius would not fit ten frames."""
PATTERNS = NEIGHBOURS * (NEIGHBOURS - 1) + 3
"""Bins of a histogram: the uniform patterns, and one for all others."""
BLOCKS = 4
"""Blocks along each side of the picture, each with its own histograms. Of 64 pixels, more blocks would hold few."""
SVM_C = 1e-3
"""The SVM's C, on standardised features. With far more features than clips, larger values change nothing."""


def linear(
    manifest: pd.DataFrame, landmarks: np.ndarray, classes: Sequence[str], train: np.ndarray, test: np.ndarray
) -> pd.DataFrame:
    """Predictions of a logistic regression on the last frame's `landmarks.displacement`.

    Args:
        manifest: N rows.
        landmarks: (N, T, 66, 2) pixels.
        classes: the learned classes in label order.
        train: row numbers to fit on.
        test: row numbers to predict.
    """
    moved = displacement(torch.tensor(landmarks[:, (0, -1)]))[:, -1].flatten(1).numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(moved[train], manifest["label"].iloc[train])
    return _table(manifest.iloc[test], classes, model.classes_, model.predict_proba(moved[test]))


def lbp_top(frames: np.ndarray) -> np.ndarray:
    """The histograms of local binary patterns on the planes XY, XT and YT of one clip.

    Args:
        frames: (T, H, W, 3) uint8, three frames or more.

    Returns:
        (BLOCKS * BLOCKS * 3 * PATTERNS,) float32; each histogram is of shares that add up to 1.
    """
    from skimage.color import rgb2gray  # half a second, and only this needs it
    from skimage.feature import local_binary_pattern

    grey = (255 * rgb2gray(frames)).round().astype(np.uint8)  # (T, H, W)
    histograms = []
    # Each plane's two axes go last; what is left is stacked. T, Y, X are the axes 0, 1, 2.
    for plane in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        stacked = grey.transpose(plane)
        S, A, B = stacked.shape
        # The planes as one tall picture. Patterns at a plane's border see the next plane, so borders are cut off.
        codes = local_binary_pattern(stacked.reshape(S * A, B), NEIGHBOURS, RADIUS, "nri_uniform").astype(int)
        inner = codes.reshape(S, A, B).transpose(np.argsort(plane))[1:-1, 1:-1, 1:-1]
        rows = np.array_split(inner, BLOCKS, axis=1)
        blocks = [block for row in rows for block in np.array_split(row, BLOCKS, axis=2)]
        histograms += [np.bincount(block.ravel(), minlength=PATTERNS) / block.size for block in blocks]
    return np.concatenate(histograms).astype(np.float32)


def linear_svm(
    manifest: pd.DataFrame, features: np.ndarray, classes: Sequence[str], train: np.ndarray, test: np.ndarray
) -> pd.DataFrame:
    """Predictions of a linear SVM, one class against the rest.

    Args:
        manifest: N rows.
        features: (N, F).
        classes: the learned classes in label order.
        train: row numbers to fit on.
        test: row numbers to predict.

    Returns:
        The predictions table; its ``p_`` columns are the softmax of the decision values, and not calibrated.
    """
    model = make_pipeline(StandardScaler(), LinearSVC(C=SVM_C, random_state=0))
    model.fit(features[train], manifest["label"].iloc[train])
    values = model.decision_function(features[test])
    values = np.stack([-values, values], axis=1) if values.ndim == 1 else values
    return _table(manifest.iloc[test], classes, model.classes_, softmax(values, axis=1))


def majority(manifest: pd.DataFrame, classes: Sequence[str], train: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    """The class that is most frequent among the training clips, for every test clip; ``p_`` are the classes' shares."""
    counts = manifest["label"].iloc[train].value_counts().reindex(list(classes), fill_value=0).to_numpy()
    return predictions_table(manifest.iloc[test], classes, np.tile(counts / counts.sum(), (len(test), 1)))


def _table(tested: pd.DataFrame, classes: Sequence[str], seen: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Predictions from probabilities (N, S) of the classes ``seen`` in training; the others' are 0."""
    of_all = np.zeros((len(tested), len(classes)))
    of_all[:, [list(classes).index(name) for name in seen]] = probabilities
    return predictions_table(tested, classes, of_all)
