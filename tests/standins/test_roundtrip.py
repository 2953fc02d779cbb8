"""Readers find the ground truth of a stand-in in its files, by recording, by frame and by clip, and nothing else.

Renderer and face detector have their own tests; here both are replaced by fast stubs, except in the last test.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer3d import labels, standins
from fer3d.config import ClipSettings
from fer3d.data import clips, databases, faces, preparation
from fer3d.data.databases import Sequence, Skipped, disfa, fera
from fer3d.data.databases.summary import summarise
from fer3d.data.faces import Face, FaceTracker, Rejected
from fer3d.data.landmarks import KEPT
from fer3d.data.store import Store, open_store
from fer3d.data.video import read_frames
from fer3d.standins.people.person import Person, Pose
from fer3d.standins.picture.scene import Scene
from fer3d.standins.releases import disfa as disfa_standin
from fer3d.standins.releases import fera as fera_standin
from fer3d.standins.releases import mmi as mmi_standin
from fer3d.standins.releases import writer

SUBJECTS = {"ckplus": 10, "mmi": 10, "fera": 4, "disfa": 3}
SETTINGS = ClipSettings(size=16)
EXTRA_SKIPS = {"fera": {"emotions"}}
"""Lines on a whole release: that its action unit videos have no emotion."""
Releases = dict[str, Path]
each_database = pytest.mark.parametrize("database", labels.TITLES)


class StubRenderer:
    """Small frames without a face: white at the top if the head looks ahead, below a grey that encodes the frame."""

    def __init__(self, _person: Person, scene: Scene) -> None:
        self.scene, self.count = scene, 0

    def frame(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        shape = (self.scene.height // 5, self.scene.width // 5, 3)
        ahead = abs(pose.turn[1]) < 45
        self.count += ahead
        picture = np.full(shape, 20 + 7 * (self.count % 30), np.uint8)
        if ahead:
            picture[: shape[0] // 4] = 255
        return picture, np.full((68, 2), self.count, np.float32)


def stub_step(tracker: FaceTracker, frame: np.ndarray) -> Face | Rejected:
    """Find a face that fills the frame, if the frame is upright."""
    tracker.frames += 1
    if frame[:2].min() < 240 or frame[-2:].max() > 240:
        return Rejected(tracker.frames - 1, "no face found")
    corners = np.tile(np.float32([[0, 0], [1, 1]]), (33, 1)) * frame.shape[1::-1]
    return Face((0.0, 0.0, float(frame.shape[1])), corners, 1.0, 1)


def write(database: str, out: Path, seed: int = 11) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "Renderer", StubRenderer)
        patch.setattr(disfa_standin, "SIZE", (128, 96))
        return standins.write(database, out, SUBJECTS[database], seed, workers=1, recordings=2)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """A stand-in of each database."""
    root = tmp_path_factory.mktemp("releases")
    for database in labels.TITLES:
        write(database, root / database)
    return {database: root / database for database in labels.TITLES}


def scan(database: str, root: Path, camera: Any = "left") -> tuple[dict[str, Sequence], list[Skipped]]:
    found = list(databases.scan(database, root, ClipSettings(camera=camera)))
    return (
        {entry.name: entry for entry in found if isinstance(entry, Sequence)},
        [entry for entry in found if isinstance(entry, Skipped)],
    )


@each_database
def test_every_recording_is_read_back_or_left_out(releases: Releases, database: str) -> None:
    """Left out are what MMI has besides the six emotions in frontal view, and, in one line, FERA's missing emotions."""
    truth = {row["name"]: row for row in standins.ground_truth(releases[database])}
    found, skipped = scan(database, releases[database])
    unusable = {name for name, row in truth.items() if not row["usable"]}
    assert sorted(Path(entry.what).stem for entry in skipped) == sorted(unusable | EXTRA_SKIPS.get(database, set()))
    assert found.keys() == truth.keys() - unusable
    for name, sequence in found.items():
        row = truth[name]
        assert (sequence.subject, sequence.label) == (row["subject"], row["label"])
        assert sequence.frame_labels == (row["frame_labels"] and tuple(row["frame_labels"]))
        assert sequence.action_units == tuple(map(tuple, row["action_units"]))
        frames = sum(1 for _ in read_frames(sequence.source, sequence.images))
        assert frames == row["frames"]


@each_database
def test_a_readers_counts_are_those_of_the_writer(releases: Releases, database: str) -> None:
    written = write(database, releases[database])
    summary = summarise(database, releases[database])
    names = ("sequences", "labelled", "subjects")
    assert {name: summary[name] for name in names} == {name: written[name] for name in names}
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


@pytest.fixture(scope="module")
def stores(releases: Releases, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """The releases prepared."""
    root = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces.FaceTracker, "step", stub_step)
        for database in labels.TITLES:
            preparation.prepare(database, releases[database], root / database, SETTINGS, workers=1)
    return {database: open_store(root / database) for database in labels.TITLES}


@each_database
def test_every_clip_holds_the_frames_that_its_row_names(
    releases: Releases, stores: dict[str, Store], database: str
) -> None:
    """The greys below the white band are those of the recording's frames, in order."""
    store, (found, _) = stores[database], scan(database, releases[database])
    for row, clip in zip(store.manifest.itertuples(), store.frames, strict=True):
        sequence = found[row.sequence]
        greys = [np.median(frame[frame < 240]) for frame in read_frames(sequence.source, sequence.images)]
        stored = [np.median(frame[8:]) for frame in clip]
        expected = [greys[row.first_frame]] * row.padded + greys[row.first_frame :][: 10 - row.padded]
        assert np.abs(np.subtract(stored, expected)).max() <= 3, row


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
