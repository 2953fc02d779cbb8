"""The CK+ reader against every quirk of the release, on miniature trees."""

from pathlib import Path

import pytest
from trees import ckplus_sequence, read, write_image, write_text

from fer3d.data import databases
from fer3d.data.databases.summary import summarise


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Section by section what the release is known to contain."""
    root = tmp_path / "CK+"
    for code, (subject, number, frames) in enumerate(
        [
            ("S005", "001", 11),
            ("S005", "002", 6),
            ("S138", "001", 9),
            ("S501", "001", 10),
            ("S501", "004", 23),
            ("S999", "001", 12),
            ("S999", "003", 13),
        ],
        start=1,
    ):
        ckplus_sequence(root, subject, number, frames, emotion=code)
    ckplus_sequence(root, "S138", "002", 5)
    (root / "Emotion/S138/002").mkdir(parents=True)
    ckplus_sequence(root, "S010", "001", 4)
    for folder in [
        "",
        "cohn-kanade-images",
        "cohn-kanade-images/S005",
        "cohn-kanade-images/S005/001",
        "Emotion/S005/001",
    ]:
        write_text(root / folder / ".DS_Store", b"\0\1")
    write_text(root / "ReadMeCohnKanadeDatabase_website.txt", "Emotion/S0005/001")
    write_text(root / "Landmarks/S005/001/S005_001_00000001_landmarks.txt", "  1.0e+00   2.0e+00\n")
    return root


def test_whole_release(release: Path) -> None:
    assert summarise("ckplus", release) == {
        "database": "ckplus",
        "synthetic": False,
        "sequences": 9,
        "labelled": 7,
        "subjects": 5,
        "labelled_subjects": 4,
        "classes_of": "sequences",
        "classes": dict.fromkeys(databases.READERS["ckplus"].PUBLISHED.classes, 1),
        "skipped": [],
    }
    sequences, _ = read("ckplus", release)
    labels = [sequences[name].label for name in ("S005_001", "S005_002", "S138_001", "S501_001")]
    assert labels == ["anger", "contempt", "disgust", "fear"]
    assert sequences["S138_002"].label is None and sequences["S010_001"].label is None
    assert sequences["S005_001"].origin == "Emotion/S005/001/S005_001_00000011_emotion.txt"
    assert sequences["S005_001"].source == sequences["S005_001"].images[0].parent
    assert [image.name[-6:] for image in sequences["S005_001"].images] == [f"{n:02d}.png" for n in range(1, 12)]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion_labels/Emotion"),
        ("extended-cohn-kanade-images", "EMOTION"),
        ("CK+/extended-cohn-kanade-images/cohn-kanade-images", "CK+/Emotion_labels/Emotion"),
        ("everything", "everything"),
    ],
)
def test_any_nesting_and_name(tmp_path: Path, images: str, labels: str) -> None:
    ckplus_sequence(tmp_path, "S005", "001", 3, 3, images=images, labels=labels)
    assert summarise("ckplus", tmp_path)["classes"]["disgust"] == 1


def test_label_files_are_found_by_their_end(tmp_path: Path) -> None:
    """Their number need not be the last frame's, and the read-me's own example has a slip."""
    ckplus_sequence(tmp_path, "S005", "001", 11)
    write_text(tmp_path / "Emotion/S005/001/S005_001_00000010_emotion.txt", "   3.0000000e+00\n")
    write_text(tmp_path / "FACS/S005/001/S0005_001_00000011_facs.txt", "   9.0e+00   2.0e+00\n")
    sequences, skipped = read("ckplus", tmp_path)
    assert (sequences["S005_001"].label, sequences["S005_001"].action_units) == ("disgust", ((9, 2.0),))
    assert not skipped


def test_frames_sort_by_number(tmp_path: Path) -> None:
    for frame in (1, 2, 9, 10, 11):
        write_image(tmp_path / f"S005/001/S005_001_{frame}.png")
    sequences, _ = read("ckplus", tmp_path)
    assert [image.stem.split("_")[2] for image in sequences["S005_001"].images] == ["1", "2", "9", "10", "11"]


def test_one_sequence_comes_from_one_folder(tmp_path: Path) -> None:
    """The fuller wins, then the one of larger pictures; what is not a copy is listed, and no frame is mixed in."""
    ckplus_sequence(tmp_path, "S005", "001", 4, 1)
    ckplus_sequence(tmp_path, "S005", "002", 4, 1)
    ckplus_sequence(tmp_path, "S005", "003", 4, 1)
    write_image(tmp_path / "apexes/S005/001/S005_001_00000004.png", (50, 50))
    ckplus_sequence(tmp_path, "S005", "002", 4, images="small", shape=(6, 8))
    ckplus_sequence(tmp_path, "S005", "003", 4, images="unpacked again")
    sequences, skipped = read("ckplus", tmp_path)
    assert {image.parent.parent.parent.name for s in sequences.values() for image in s.images[:]} <= {
        "cohn-kanade-images",
        "unpacked again",
    }
    assert all(len({image.parent for image in s.images}) == 1 and len(s.images) == 4 for s in sequences.values())
    assert list(skipped) == ["apexes/S005/001", "small/S005/002"]


def test_facs_codes(tmp_path: Path) -> None:
    ckplus_sequence(tmp_path, "S005", "001", 2, 1, facs="   4.0000000e+00   0.0000000e+00\n   1.7e+01   5.0e+00\n")
    ckplus_sequence(tmp_path, "S005", "002", 2, 1, facs="\ufeff4 2\n")  # as an editor on Windows saves it
    sequences, skipped = read("ckplus", tmp_path)
    assert sequences["S005_001"].action_units == ((4, 0.0), (17, 5.0))
    assert sequences["S005_002"].action_units == ((4, 2.0),) and not skipped


def test_labels_without_images_and_two_labels(release: Path) -> None:
    write_text(release / "Emotion/S700/001/S700_001_00000012_emotion.txt", "   1.0000000e+00\n")
    write_text(release / "Emotion/S005/001/S005_001_00000010_emotion.txt", "   1.0000000e+00\n")
    _, skipped = read("ckplus", release)
    assert skipped == {"S700_001": "no images", "S005_001": "2 emotion labels"}


def test_a_sequence_that_ends_before_its_peak_is_not_used(tmp_path: Path) -> None:
    """Its images would be of the neutral start, under the label of the apex."""
    folder = ckplus_sequence(tmp_path, "S005", "001", 14, 5)
    ckplus_sequence(tmp_path, "S006", "001", 3, 5)
    for number in range(6, 15):
        (folder / f"S005_001_{number:08d}.png").unlink()
    sequences, skipped = read("ckplus", tmp_path)
    assert list(sequences) == ["S006_001"]
    assert skipped["S005_001"] == "the images end at 5, and the label is that of image 14"


def test_images_alone_are_read_and_the_labels_missed(tmp_path: Path) -> None:
    ckplus_sequence(tmp_path, "S005", "001", 3)
    sequences, skipped = read("ckplus", tmp_path / "cohn-kanade-images")
    assert list(sequences) == ["S005_001"] and "not one emotion label" in skipped["Emotion"]


def test_a_look_alike_inside_a_release_is_left_alone(release: Path) -> None:
    write_image(release / "CK+48/anger/S010_004_00000017.png")
    write_text(release / "ckextended.csv", "emotion,pixels,Usage\n6,36 39 35,Training\n")
    sequences, skipped = read("ckplus", release)
    assert len(sequences) == 9 and not skipped
