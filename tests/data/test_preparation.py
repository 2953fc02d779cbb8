"""Preparing a release: the paper's ten frames, what is left out, the same bytes whatever happened on the way."""

import dataclasses
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import scenes
from orphans import all_end, children
from trees import ckplus_sequence, write_image, write_text

from fer3d import files, standins
from fer3d.config import ClipSettings
from fer3d.data import clips, databases, preparation
from fer3d.data.databases import summary
from fer3d.data.databases.sequence import Sequence
from fer3d.data.face_fit import DOUBTFUL
from fer3d.data.file_kinds import VideoError
from fer3d.data.store import MANIFEST, Store, open_store
from fer3d.data.video import TimedFrame
from fer3d.errors import InputError

SETTINGS = ClipSettings(size=48)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("release")
    ckplus_sequence(root, "S001", "001", scenes.walk(12), 3)
    ckplus_sequence(root, "S001", "002", scenes.walk(10), None)
    ckplus_sequence(root, "S002", "001", scenes.walk(7), 2)
    ckplus_sequence(root, "S003", "001", [scenes.COFFEE] * 10, 5)
    ckplus_sequence(root, "S004", "001", scenes.walk(11, blank=(4, 5)), 7)
    ckplus_sequence(root, "S005", "001", scenes.walk(10, blank=(1, 3, 5)), 1)
    ckplus_sequence(root, "S006", "001", scenes.walk(10), 5)
    broken = root / "cohn-kanade-images" / "S006" / "001" / "S006_001_00000006.png"
    broken.write_bytes(broken.read_bytes()[:4000])  # the header is whole, the picture is not
    return root


@pytest.fixture(scope="module")
def store(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("prepared") / "ckplus"
    counts = preparation.prepare("ckplus", release, out, SETTINGS, workers=1)
    assert counts.pop("seconds") > 0
    assert counts == {"clips": 3, "padded": 1, "rejected": 3, "skipped": 0, "frames": 10 + 7 + 10 + 10 + 10 + 5}
    return open_store(out)


def test_an_interval_is_refused_where_frames_are_spread(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frame_step has no effect where ten frames are spread"):
        preparation.prepare("table", tmp_path, tmp_path / "store", dataclasses.replace(SETTINGS, frame_step=0.1))


@pytest.mark.parametrize(("sampling", "starts"), [("whole", [0, 4]), ("tens", [0, 4, 14])])
def test_own_recordings_by_a_table(sampling: str, starts: list[int], tmp_path: Path) -> None:
    """Two people, one in the whole of a folder of images, one in a part; their folds go into the store."""
    for frame, picture in enumerate(scenes.walk(25)):
        write_image(tmp_path / "release" / "walk" / f"{frame}.png", picture=picture)
    lines = (
        "path,label,subject,start_frame,end_frame,fold",
        "walk,bored,anna,,4,1",
        "walk,joy,ben,4,,0",
        "*,bored,,,,",
    )
    write_text(tmp_path / "release" / "labels.csv", "\n".join(lines))
    settings = dataclasses.replace(SETTINGS, sampling=sampling)
    preparation.prepare("table", tmp_path / "release", tmp_path / "store", settings, workers=1)
    store = open_store(tmp_path / "store")
    assert store.manifest["first_frame"].tolist() == starts
    assert store.manifest["label"].tolist()[:2] == ["bored", "happiness"] and store.classes == ("happiness", "bored")
    assert store.manifest["fold"].tolist()[:2] == [1, 0] and store.manifest["padded"].tolist()[0] == 6
    shown = explore_frames(store, tmp_path / "release")
    spread = np.linspace(4, 24, 10).round().astype(int) if sampling == "whole" else np.arange(4, 14)
    assert all(np.array_equal(one, scenes.walk(25)[frame]) for one, frame in zip(shown, spread, strict=True))


def test_a_store_of_another_database_is_not_replaced(release: Path, store: Store, tmp_path: Path) -> None:
    out = shutil.copytree(store.path, tmp_path / "store")
    before = contents(out)
    write_image(tmp_path / "release" / "walk" / "0.png", picture=scenes.walk(1)[0])
    write_text(tmp_path / "release" / "labels.csv", "path,label,subject\nwalk,fear,anna\n")
    with pytest.raises(InputError, match=r"is a store of CK\+, not of own videos; try another --out"):
        preparation.prepare("table", tmp_path / "release", out, SETTINGS, workers=1)
    assert contents(out) == before


def explore_frames(store: Store, root: Path) -> list[np.ndarray | None]:
    """The recorded frames of the second clip."""
    from fer3d.workbook.explorers.clips import source_frame

    recording = list(databases.scan("table", root, store.settings))[1]
    assert isinstance(recording, Sequence)
    return [source_frame(store, 1, frame, recording) for frame in range(10)]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_last_ten_frames_of_ckplus(store: Store) -> None:
    first = store.manifest.iloc[0]
    assert list(store.manifest.columns) == list(MANIFEST)
    columns = ["clip", "subject", "label", "first_frame"]
    assert first[columns].tolist() == ["S001_001_00002", "S001", "disgust", 2]
    assert store.frames.shape == (3, 10, 48, 48, 3) and store.frames.dtype == np.uint8
    assert store.landmarks.shape == (3, 10, 66, 2) and store.landmarks.dtype == np.float32
    assert list(store.manifest["sequence"]) == ["S001_001", "S002_001", "S004_001"]
    assert store.classes == ("contempt", "disgust", "surprise") and len(store) == 3
    assert store.metadata["unlabelled"] == 1


def test_the_head_moves_within_the_square_of_the_clip(store: Store) -> None:
    noses = store.landmarks[0, :, 30, 0]
    assert (np.diff(noses) > 0).all()  # it moves to the right by 3 px of the frame
    assert np.nanmin(store.landmarks) > 0 and np.nanmax(store.landmarks) < 47
    # the picture moves with the points: a patch round the nose looks the same in the first and the last frame
    patches = [
        cv2.getRectSubPix(store.frames[0, t], (15, 15), tuple(map(float, store.landmarks[0, t, 30]))) for t in (0, 9)
    ]
    assert np.corrcoef(patches[0].ravel(), patches[1].ravel())[0, 1] > 0.9


def test_a_short_sequence_repeats_its_first_frame(store: Store) -> None:
    assert store.manifest["padded"].tolist() == [0, 3, 0]
    assert (store.frames[1, :3] == store.frames[1, 3]).all()
    assert (store.frames[1, 3] != store.frames[1, 4]).any()


def test_frames_without_a_face_are_listed_and_have_no_points(store: Store) -> None:
    assert store.manifest["missing"].tolist() == [0, 0, 2]
    nowhere = np.isnan(store.landmarks[2]).all(axis=(1, 2))
    assert np.flatnonzero(nowhere).tolist() == [3, 4]  # frames 4 and 5 of 1..10
    listed = store.rejected[store.rejected["what"] == "frame"]
    assert listed["first_frame"].tolist() == [4, 5] and (listed["sequence"] == "S004_001").all()
    assert not np.isnan(np.delete(store.landmarks[2], [3, 4], axis=0)).any()


def test_every_frame_has_its_number_of_faces_and_its_score(store: Store) -> None:
    n_faces, scores, confidences = np.moveaxis(store.detections, -1, 0)
    assert (n_faces[2] == [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]).all()
    assert (np.isnan(scores) == np.isnan(store.landmarks[:, :, 0, 0])).all()
    assert np.allclose(np.nanmin(scores, axis=1), store.manifest["score"], atol=1e-4)
    assert (np.isnan(confidences) == np.isnan(scores)).all() and np.nanmin(confidences) > DOUBTFUL
    assert len(np.unique(scores[0])) == 10 and (n_faces.max(axis=1) == store.manifest["n_faces"]).all()


def test_what_is_left_out_is_listed_with_its_reason(store: Store) -> None:
    reasons = store.rejected[store.rejected["what"] == "sequence"].set_index("sequence")["reason"]
    assert set(reasons.index) == {"S003_001", "S005_001", "S006_001"}
    assert reasons["S003_001"] == "no face found (a face on 0 of 10 frames)"
    assert reasons["S005_001"] == "no face found (a face on 7 of 10 frames)"
    assert "broken image" in reasons["S006_001"]


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_it_goes_on_and_ends_with_the_same_bytes(
    workers: int, store: Store, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, partial = tmp_path / "out", tmp_path / ".out.partial"
    program = (
        "from pathlib import Path; from fer3d.data import preparation; from fer3d.config import ClipSettings\n"
        f"if __name__ == '__main__': preparation.prepare('ckplus', Path({str(release)!r}), Path({str(out)!r}), "
        f"ClipSettings(size=48), workers={workers})"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    while not finished(partial) and process.poll() is None:
        time.sleep(0.002)
    born = children(process.pid)
    process.kill()
    process.wait()
    done = finished(partial)
    assert done and not out.exists()
    assert all_end(born), "workers outlive their parent"
    (partial / "of another release").mkdir()

    cut_again = []
    monkeypatch.setattr(preparation, "cut", lambda s, tracker: cut_again.append(s.name) or clips.cut(s, tracker))
    preparation.prepare("ckplus", release, out, SETTINGS, workers=1)
    assert len(cut_again) == 6 - len(done)
    assert contents(out) == contents(store.path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out"]


def finished(partial: Path) -> set[str]:
    return {part.name for part in partial.iterdir() if part.name[0] != "."} if partial.exists() else set()


def test_other_settings_labels_or_recordings_make_a_new_store(release: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "release", tmp_path / "out"
    for folder in ("cohn-kanade-images", "Emotion"):
        shutil.copytree(release / folder / "S002", root / folder / "S002")

    def prepared(root: Path = root, settings: ClipSettings = SETTINGS) -> Store:
        preparation.prepare("ckplus", root, out, settings, workers=1)
        return open_store(out)

    first, written = prepared(), out.stat().st_ino
    shutil.copytree(root, tmp_path / "moved")
    assert prepared(tmp_path / "moved").metadata == first.metadata and out.stat().st_ino == written, "written anew"
    smaller = prepared(settings=dataclasses.replace(SETTINGS, size=32))
    assert smaller.frames.shape[-2] == smaller.settings.size == 32
    ckplus_sequence(root, "S009", "001", 0, 1)
    left_out = prepared()
    assert list(left_out.rejected["reason"]) == ["no images"] and list(left_out.labels) == ["contempt"]
    next((root / "Emotion" / "S002").rglob("*.txt")).write_text("6")
    labelled_anew = prepared()
    assert list(labelled_anew.labels) == ["sadness"] and np.array_equal(labelled_anew.frames, first.frames)
    stores = (first, smaller, left_out, labelled_anew)
    assert len({store.metadata["fingerprint"] for store in stores}) == len(stores)


def test_a_part_is_named_by_all_that_it_depends_on(tmp_path: Path) -> None:
    def key(settings: ClipSettings = SETTINGS, content: str = "a", changed: int = 1, **fields: object) -> str:
        image.write_text(content)
        os.utime(image, (changed, changed))
        return preparation.part_key(dataclasses.replace(sequence, **fields), tmp_path, settings)

    image = tmp_path / "1.png"
    sequence = Sequence("ckplus", "S1", "S1_1", tmp_path, (image,), label="fear")
    others = [
        key(dataclasses.replace(SETTINGS, margin=0.2)),
        key(content="ab"),
        key(content="b"),
        key(changed=2),
        key(subject="S2"),
        key(label="anger"),
        key(frame_labels=("fear",)),
        key(images=(image, image)),
    ]
    assert len({key(), *others}) == 9 and key() == key()


def test_a_recording_that_breaks_late_is_left_out_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a whole clip."""

    def frames(source: Path, images: object, frame_rate: object) -> Iterator[TimedFrame]:
        yield from (TimedFrame(i, i / 25, picture) for i, picture in enumerate(scenes.walk(10)))
        if source.name == "broken":
            raise VideoError("broken image")

    sequences = [Sequence("mmi", "S1", name, tmp_path / name, label="fear") for name in ("broken", "sound")]
    for sequence in sequences:
        sequence.source.touch()
    monkeypatch.setattr(databases, "scan", lambda *_: iter(sequences))
    monkeypatch.setattr(clips, "read_timed", frames)
    preparation.prepare("mmi", tmp_path, tmp_path / "out", SETTINGS, workers=1)
    store = open_store(tmp_path / "out")
    assert list(store.manifest["sequence"]) == ["sound"]
    assert store.rejected[["sequence", "what", "reason"]].values.tolist() == [["broken", "sequence", "broken image"]]


def test_a_release_without_faces_says_so(tmp_path: Path) -> None:
    ckplus_sequence(tmp_path / "release", "S003", "001", [scenes.COFFEE] * 10, 5)
    with pytest.raises(InputError, match="no clip could be cut: 1 x no face found"):
        preparation.prepare("ckplus", tmp_path / "release", tmp_path / "out", SETTINGS, workers=1)
    ckplus_sequence(tmp_path / "unlabelled", "S003", "001", [scenes.COFFEE] * 10, None)
    with pytest.raises(InputError, match=r"no sequence in .* has a label"):
        preparation.prepare("ckplus", tmp_path / "unlabelled", tmp_path / "out", SETTINGS, workers=1)
    assert not (tmp_path / "out").exists()


def test_folders_may_be_given_by_their_names(release: Path, store: Store, tmp_path: Path) -> None:
    preparation.prepare("ckplus", str(release), str(tmp_path / "store"), SETTINGS, workers=1)
    assert open_store(str(tmp_path / "store")).metadata["fingerprint"] == store.metadata["fingerprint"]
    assert summary.summarise("ckplus", str(release), str(tmp_path / "index.csv"))["labelled"] == 6
    assert databases.number_of_folds("ckplus", str(release), 5) == 5 and (tmp_path / "index.csv").exists()


def test_a_stand_in_is_known_by_its_truth(release: Path, store: Store, tmp_path: Path) -> None:
    assert store.metadata["synthetic"] is False and store.title == "CK+"
    copy = shutil.copytree(release, tmp_path / "copy")
    files.write_json(standins.truth_folder(copy) / "plan.json", {})
    preparation.prepare("ckplus", copy, tmp_path / "store", SETTINGS, workers=1)
    assert open_store(tmp_path / "store").title == "CK+ (synthetic)"
