"""Readers find the ground truth of a stand-in in its files, by recording and by frame, and nothing else.

The renderer has its own tests; here a fast stub replaces it, except in the last test.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer3d import standins
from fer3d.config import ClipSettings
from fer3d.data import clips, databases
from fer3d.data.databases import Sequence, Skipped, disfa, fera
from fer3d.data.databases.summary import summarise
from fer3d.data.faces import FaceTracker
from fer3d.data.landmarks import KEPT
from fer3d.data.video import read_frames
from fer3d.standins.people.person import Person, Pose
from fer3d.standins.picture.scene import Scene
from fer3d.standins.releases import disfa as disfa_standin
from fer3d.standins.releases import fera as fera_standin
from fer3d.standins.releases import mmi as mmi_standin
from fer3d.standins.releases import writer

SUBJECTS = {"ckplus": 10, "mmi": 10, "fera": 4, "disfa": 3, "ravdess": 3, "cremad": 4}
Releases = dict[str, Path]
each_database = pytest.mark.parametrize("database", writer.LAYOUTS)


class StubRenderer:
    """Small frames without a face, half of them in a grey of the pose; their landmarks count the frames."""

    def __init__(self, _person: Person, scene: Scene) -> None:
        self.scene, self.count = scene, 0

    def frame(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        self.count += 1
        shape = (self.scene.height // 5, self.scene.width // 5, 3)
        picture = np.full(shape, self.count % 256, np.uint8)
        picture[:, : shape[1] // 2] = zlib.crc32(repr(pose).encode()) % 256
        return picture, np.full((68, 2), self.count, np.float32)


def write(database: str, out: Path, seed: int = 11) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "Renderer", StubRenderer)
        patch.setattr(disfa_standin, "SIZE", (128, 96))
        return standins.write(database, out, SUBJECTS[database], seed, workers=1, recordings=2)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """A stand-in of each database."""
    root = tmp_path_factory.mktemp("releases")
    for database in writer.LAYOUTS:
        write(database, root / database)
    return {database: root / database for database in writer.LAYOUTS}


def scan(database: str, root: Path, camera: Any = "left") -> tuple[dict[str, Sequence], list[Skipped]]:
    found = list(databases.scan(database, root, ClipSettings(camera=camera)))
    return (
        {entry.name: entry for entry in found if isinstance(entry, Sequence)},
        [entry for entry in found if isinstance(entry, Skipped)],
    )


@each_database
def test_every_recording_is_read_back_or_left_out_and_counted(releases: Releases, database: str) -> None:
    """Left out are what MMI has besides the six emotions in frontal view, and the faulty clips of CREMA-D.

    One line says what FERA's emotions are missing for, one that RAVDESS has each take twice.
    """
    truth = {row["name"]: row for row in standins.ground_truth(releases[database])}
    found, skipped = scan(database, releases[database])
    unusable = {name for name, row in truth.items() if not row["usable"]}
    assert bool(unusable) == (database in ("mmi", "cremad"))
    noted = {"fera": ["emotions"], "ravdess": ["takes"]}.get(database, [])
    assert sorted(Path(entry.what).stem for entry in skipped) == sorted([*noted, *unusable])
    assert found.keys() == truth.keys() - unusable
    for name, sequence in found.items():
        row = truth[name]
        assert (sequence.subject, sequence.label) == (row["subject"], row["label"])
        assert sequence.frame_labels == (row["frame_labels"] and tuple(row["frame_labels"]))
        assert sequence.action_units == tuple(map(tuple, row["action_units"]))
        assert sum(1 for _ in read_frames(sequence.source, sequence.images)) == row["frames"]
    written, summary = write(database, releases[database]), summarise(database, releases[database])
    assert all(summary[name] == written[name] for name in ("sequences", "labelled", "subjects"))
    assert {name: count for name, count in summary["classes"].items() if count} == written["classes"]


def test_landmarks_of_ckplus_are_read_back_frame_by_frame(releases: Releases) -> None:
    root = releases["ckplus"]
    for row in standins.ground_truth(root):
        truth = np.load(standins.truth_folder(root) / row["subject"] / f"{row['name']}.landmarks.npy")
        read = [np.loadtxt(text) for text in sorted(root.rglob(f"{row['name']}_*_landmarks.txt"))]
        assert np.allclose(read, truth, atol=1e-3)


def test_intensities_of_disfa_are_read_back_frame_by_frame(releases: Releases) -> None:
    root = releases["disfa"]
    for row in standins.ground_truth(root):
        units = np.load(standins.truth_folder(root) / row["subject"] / f"{row['name']}.units.npy")
        folder = root / "ActionUnit_Labels" / row["subject"]
        table = disfa.read_intensities({unit: folder / f"{folder.name}_au{unit}.txt" for unit in disfa.UNITS})
        assert np.array_equal(table, disfa_standin.intensities(units))


def test_action_units_of_fera_are_read_back_frame_by_frame(releases: Releases) -> None:
    root = releases["fera"]
    coded = [row for row in standins.ground_truth(root) if row["name"].startswith("au_")]
    assert len(coded) == 2
    for row in coded:
        units = np.load(standins.truth_folder(root) / row["subject"] / f"{row['name']}.units.npy")
        table = fera.read_units(next(root.glob(f"**/{row['name'][3:]}-au.dat")))
        present = fera_standin.present(units)
        assert np.array_equal(table[list(fera.UNITS)], present[:, [unit - 1 for unit in fera.UNITS]])
        assert present.sum() == table[list(fera.UNITS)].to_numpy().sum()


def test_both_cameras_of_disfa_have_the_same_labels(releases: Releases) -> None:
    found, _ = scan("disfa", releases["disfa"], camera="both")
    right = [name for name in found if name.endswith("_right")]
    assert len(right) == 2
    for name in right:
        left = found[name.replace("right", "left")]
        assert (found[name].subject, found[name].frame_labels) == (left.subject, left.frame_labels)


@each_database
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    releases: Releases, tmp_path: Path, digest: Callable[[Path], str], database: str
) -> None:
    digests = []
    for seed in (11, 12):
        write(database, tmp_path / str(seed), seed)
        digests.append([digest(tmp_path / str(seed)), digest(tmp_path / f"{seed}.truth")])
    root = releases[database]
    assert digests[0] == [digest(root), digest(standins.truth_folder(root))]
    assert digests[0][0] != digests[1][0] and digests[0][1] != digests[1][1]


def test_the_detector_sets_lying_and_mirrored_faces_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With rendered faces and the real detector: the detected landmarks are the true ones of the upright view."""
    monkeypatch.setattr(mmi_standin, "FRAMES", (10, 11))
    truth = []
    for view in (mmi_standin.LYING, mmi_standin.DUAL):
        plan = next(plan for plan in mmi_standin.plan(6, 7, 1) if plan.view == view)
        truth += writer.write_subject("mmi", 7, tmp_path, plan)
    found, _ = scan("mmi", tmp_path)
    for row in (row for row in truth if row.usable):
        (clip,) = clips.cut(found[row.name], FaceTracker(ClipSettings(size=128)))
        assert isinstance(clip, clips.Clip)
        true = row.landmarks[0][KEPT]
        moved = clip.landmarks[0] - clip.landmarks[0].mean(0)
        scale = np.ptp(moved[:, 0]) / np.ptp(true[:, 0])
        assert np.abs(moved - scale * (true - true.mean(0))).mean() < 0.08 * np.ptp(moved[:, 0])
