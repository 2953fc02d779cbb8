"""Each stand-in of the paper's databases can be learned, and none by heart: by its true action units alone.

No picture is rendered: a stub stands in for the renderer, and the ground truth holds what was acted. Clips are cut as
`fer3d.data.clips` cuts them. A linear classifier (scikit-learn) on the laptop profile's people, in five folds of whole
subjects, must be above the majority class by `MARGIN` with its whole interval. It sees each unit's change from a
clip's first frame to its last, as motion shows it, or also the mean over the clip.
"""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fer3d import config, standins
from fer3d.data import splits
from fer3d.evaluation.intervals import rate_interval
from fer3d.standins.people.person import Person, Pose
from fer3d.standins.picture.scene import Scene
from fer3d.standins.releases import disfa, writer

LEARNED = ("mmi", "fera", "disfa")
MARGIN = 0.15
"""Where a clip may rise or fall at random, or begin at the apex, the change of the units has less."""
Acted = dict[str, tuple[pd.DataFrame, np.ndarray]]


class Blank:
    """One grey frame for all poses."""

    def __init__(self, _person: Person, scene: Scene) -> None:
        self.scene = scene

    def frame(self, _pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((32, 32, 3), np.uint8), np.zeros((68, 2), np.float32)


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Acted:
    """By database: a row per clip, and the units (N, 10, units) of its frames, the mean of both sides."""
    people, root, found = config.profile("laptop").standins, tmp_path_factory.mktemp("acted"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "Renderer", Blank)
        patch.setattr(disfa, "SIZE", (32, 32))
        for database in LEARNED:
            out = root / database
            standins.write(database, out, people.subjects(database), workers=1, recordings=people.recordings)
            found[database] = cut(database, out)
    return found


def cut(database: str, out: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Successive tens of each labelled recording, or of each run of frames with one label."""
    rows, units = [], []
    for recording in standins.ground_truth(out):
        if not recording["usable"] or not (recording["label"] or recording["frame_labels"]):
            continue
        path = standins.truth_folder(out) / recording["subject"] / f"{recording['name']}.units.npy"
        course = np.load(path).mean(axis=1)
        start = 0
        for label, run in itertools.groupby(recording["frame_labels"] or [recording["label"]] * len(course)):
            length = len(list(run))
            for first in range(start, start + length - 9, 10) if label else ():
                rows.append({"database": database, "subject": recording["subject"], "label": label})
                units.append(course[first : first + 10])
            start += length
    return pd.DataFrame(rows), np.stack(units)


def change(units: np.ndarray) -> np.ndarray:
    return np.asarray(units[:, -1] - units[:, 0])


def change_and_mean(units: np.ndarray) -> np.ndarray:
    return np.hstack([change(units), units.mean(axis=1)])


def accuracy(clips: pd.DataFrame, seen: np.ndarray) -> tuple[float, float]:
    """Accuracy on held-out subjects, and the lower end of its interval."""
    folds = splits.fold_of(clips, 5)
    parts = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    predicted = cross_val_predict(model, seen, clips["label"], cv=parts)
    hits = (predicted == clips["label"]).to_numpy(float)
    rate = rate_interval(hits, clips["subject"].to_numpy())
    return rate.estimate, rate.low


def majority(clips: pd.DataFrame) -> float:
    return float(clips["label"].value_counts(normalize=True).iloc[0])


@pytest.mark.parametrize("seen", [change, change_and_mean])
@pytest.mark.parametrize("database", LEARNED)
def test_true_action_units_predict_the_class_but_not_without_error(acted: Acted, database: str, seen) -> None:
    clips, units = acted[database]
    rate, low = accuracy(clips, seen(units))
    assert majority(clips) + MARGIN < low, f"{rate:.3f} from {low:.3f}, n = {len(clips)}"
    assert rate < 0.95


def test_disfa_is_mostly_neutral_and_has_every_class_from_several_people(acted: Acted) -> None:
    clips, _ = acted["disfa"]
    assert 0.45 < (clips["label"] == "neutral").mean() < 0.7
    assert clips["label"].nunique() == 7
    assert (clips.groupby("label")["subject"].nunique() >= 2).all()


def test_clips_of_mmi_rise_and_fall_under_one_label(acted: Acted) -> None:
    clips, units = acted["mmi"]
    total = units.sum(axis=2)
    falls = total[:, -1] < total[:, 0]
    assert 0.05 < falls.mean() < 0.4
    assert clips["label"][falls].nunique() >= 3


def test_clips_of_fera_begin_with_an_expression(acted: Acted) -> None:
    _, units = acted["fera"]
    assert (units[:, 0].sum(axis=1) > 0.5).mean() > 0.8
