"""The DISFA reader on miniature trees."""

from pathlib import Path

import pytest
from trees import disfa_subject, read, write_text, write_video

from fer3d.config import ClipSettings
from fer3d.data import databases
from fer3d.data.databases.disfa import UNITS
from fer3d.data.databases.summary import summarise
from fer3d.data.video import check_video
from fer3d.labels import CLASSES

ROWS: list[dict[int, int]] = [
    {},
    {12: 1},
    {6: 2, 12: 3, 25: 1},
    {1: 2, 4: 2, 15: 1},
    {1: 3, 2: 3, 5: 2, 26: 2},
    {1: 1, 2: 1, 4: 1, 20: 1},
    {4: 3, 5: 1},
    {9: 2, 25: 1},
    {25: 2},
    {17: 1},
]
EMOTIONS = ("neutral", "happiness", "happiness", "sadness", "surprise", "fear", "anger", "disgust", None, None)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "DISFA"
    disfa_subject(root, "SN001", ROWS)
    disfa_subject(root, "SN010", ROWS, frames=len(ROWS) - 1)
    disfa_subject(root, "SN016", ROWS[:1] * 4)
    write_text(root / "Landmark_Points/SN001/tmp_frame_lm/SN001_0000_lm.mat", b"MATLAB 5.0")
    return root


def test_whole_release(release: Path) -> None:
    sequences, skipped = read("disfa", release)
    assert list(sequences) == ["SN001_left", "SN010_left", "SN016_left"]
    assert sequences["SN001_left"].frame_labels == EMOTIONS and sequences["SN001_left"].label is None
    assert sequences["SN001_left"].source.name == "LeftVideoSN001_comp.avi"
    assert (6, 2.0) in sequences["SN001_left"].action_units and (25, 2.0) in sequences["SN001_left"].action_units
    assert sequences["SN010_left"].frame_labels == EMOTIONS[:-1]
    assert skipped == {"Videos_LeftCamera/LeftVideoSN010_comp.avi": "10 label rows for 9 frames; cut to the shorter"}
    summary = summarise("disfa", release)
    assert (summary["sequences"], summary["labelled"], summary["subjects"]) == (3, 3, 3)
    assert summary["classes_of"] == "frames"
    assert summary["classes"] == dict.fromkeys(CLASSES["disfa"], 2) | {"happiness": 4, "neutral": 6}


def test_a_video_that_breaks_off_and_its_labels(release: Path, tmp_path: Path) -> None:
    root = tmp_path / "release"
    disfa_subject(root, "SN001", ROWS)
    whole = root / "Videos_LeftCamera/LeftVideoSN001_comp.avi"
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 9 // 10])
    sequences, _ = read("disfa", root)
    assert len(sequences) == 1
    (sequence,) = sequences.values()
    assert len(sequence.frame_labels or ()) == check_video(whole).decodable, (
        "labels of frames that are lost don't count"
    )
    first, second = summarise("disfa", root)["skipped"]
    assert first["why"].endswith(f"of {len(ROWS)}: the file breaks off")
    assert second["why"].startswith(f"{len(ROWS)} label rows for ")


def test_units_are_matched_by_number(tmp_path: Path) -> None:
    """In the order of their names au12 comes before au2: each file here holds another intensity."""
    rows = [{unit: k % 6 for k, unit in enumerate(UNITS)}]
    disfa_subject(tmp_path, "SN001", rows)
    files = sorted((tmp_path / "ActionUnit_Labels/SN001").iterdir())
    assert [file.stem for file in files][:3] == ["SN001_au1", "SN001_au12", "SN001_au15"]
    assert dict(read("disfa", tmp_path)[0]["SN001_left"].action_units) == {u: float(i) for u, i in rows[0].items() if i}


def test_the_releases_landmarks_are_ignored(release: Path) -> None:
    """However they are numbered; their folders have the names of the label folders and may be less deep."""
    (release / "ActionUnit_Labels").rename(release / "aside")
    (release / "labels/ActionUnit_Labels").mkdir(parents=True)
    (release / "aside").rename(release / "labels/ActionUnit_Labels/ActionUnit_Labels")
    for name in ("l00001_lm.mat", "SN001_0001_lm.mat"):
        write_text(release / "Landmark_Points/SN001/tmp_frame_lm" / name, b"MATLAB 5.0")
    sequences, _ = read("disfa", release)
    assert sequences["SN001_left"].frame_labels == EMOTIONS
    assert sequences["SN001_left"].origin == "labels/ActionUnit_Labels/ActionUnit_Labels/SN001"


@pytest.mark.parametrize("ending", ["_Comp", "_comp", ""])
def test_cameras(release: Path, ending: str) -> None:
    for video in sorted((release / "Video_RightCamera").iterdir()):
        video.rename(video.with_name(video.name.replace("_Comp", ending)))
    right, _ = read("disfa", release, ClipSettings(camera="right"))
    assert [s.source.name for s in right.values()] == [f"RightVideoSN0{n}{ending}.avi" for n in ("01", "10", "16")]
    both, _ = read("disfa", release, ClipSettings(camera="both"))
    assert list(both)[:2] == ["SN001_left", "SN001_right"] and len(both) == 6
    assert both["SN001_left"].subject == both["SN001_right"].subject == "SN001"


def test_threshold(release: Path) -> None:
    sequences, _ = read("disfa", release, ClipSettings(au_threshold=2))
    one = ("neutral", "neutral", "happiness", "sadness", "surprise", "neutral", None, "disgust", None, "neutral")
    assert sequences["SN001_left"].frame_labels == one


def test_more_frames_than_labels_and_a_header_that_lies(release: Path) -> None:
    write_video(release / "Videos_LeftCamera/LeftVideoSN016_comp.avi", frames=6)
    claim_frames(release / "Videos_LeftCamera/LeftVideoSN001_comp.avi", 10_000)
    disfa_subject(release, "SN002", ROWS * 4)
    claim_frames(release / "Videos_LeftCamera/LeftVideoSN002_comp.avi", 1)
    sequences, _ = read("disfa", release)
    assert len(sequences["SN016_left"].frame_labels or ()) == 4
    assert sequences["SN001_left"].frame_labels == EMOTIONS
    assert sequences["SN002_left"].frame_labels == EMOTIONS * 4


def claim_frames(path: Path, frames: int) -> None:
    """Write another number of frames into both places of an AVI's header."""
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"avih", 24), (b"strh", 40)):
        at = content.find(mark) + offset
        content[at : at + 4] = frames.to_bytes(4, "little")
    path.write_bytes(content)
    assert check_video(path).claimed_frames == frames


def test_label_files_of_different_lengths(release: Path) -> None:
    path = release / "ActionUnit_Labels/SN001/SN001_au12.txt"
    write_text(path, "".join(path.read_text().splitlines(keepends=True)[:-2]))
    sequences, skipped = read("disfa", release)
    assert sequences["SN001_left"].frame_labels == EMOTIONS[:-2]
    assert skipped["ActionUnit_Labels/SN001"] == "label files of 8 to 10 rows; cut to the shortest"


def test_what_is_missing(release: Path) -> None:
    (release / "ActionUnit_Labels/SN001/SN001_au5.txt").unlink()
    (release / "Videos_LeftCamera/LeftVideoSN010_comp.avi").unlink()
    for file in (release / "ActionUnit_Labels/SN016").iterdir():
        file.unlink()
    sequences, skipped = read("disfa", release)
    assert sequences["SN016_left"].frame_labels is None
    assert skipped == {"SN001_left": "no labels of AU 5", "SN010_left": "no video of the left camera"}
    found = [one for one in databases.scan("disfa", release, ClipSettings()) if isinstance(one, databases.Skipped)]
    assert {one.remedy for one in found if one.what == "SN010_left"} == {"fer3d prepare --set clips.camera=right"}
    assert summarise("disfa", release)["labelled"] == 0
