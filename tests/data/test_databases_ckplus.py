"""The CK+ reader against every quirk of the release, on miniature trees."""

from pathlib import Path

import pytest
from trees import ckplus_sequence, write_image, write_text

from fer3d.data import databases
from fer3d.data.databases import Sequence, Skipped
from fer3d.data.databases.release import Release
from fer3d.data.databases.summary import summarise
from fer3d.data.video import read_frames
from fer3d.errors import InputError


def read(root: Path) -> tuple[dict[str, Sequence], dict[str, str]]:
    found = list(databases.scan("ckplus", root))
    return (
        {s.name: s for s in found if isinstance(s, Sequence)},
        {s.what: s.why for s in found if isinstance(s, Skipped)},
    )


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
        "sequences": 9,
        "labelled": 7,
        "subjects": 5,
        "labelled_subjects": 4,
        "classes_of": "sequences",
        "classes": dict.fromkeys(databases.READERS["ckplus"].PUBLISHED.classes, 1),
        "skipped": [],
    }
    sequences, _ = read(release)
    assert [sequences[name].label for name in ("S005_001", "S005_002", "S138_001", "S501_001")] == [
        "anger",
        "contempt",
        "disgust",
        "fear",
    ]
    assert sequences["S138_002"].label is None and sequences["S010_001"].label is None
    assert sequences["S005_001"].origin == "Emotion/S005/001/S005_001_00000011_emotion.txt"
    assert sequences["S005_001"].source == sequences["S005_001"].images[0].parent
    assert [image.name[-6:] for image in sequences["S005_001"].images] == [f"{n:02d}.png" for n in range(1, 12)]


def test_published_counts_agree_with_each_other() -> None:
    published = databases.READERS["ckplus"].PUBLISHED
    assert published.classes is not None and sum(published.classes.values()) == published.labelled == 327


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion_labels/Emotion"),
        ("extended-cohn-kanade-images", "EMOTION"),
        ("Cohn-Kanade-Images", "emotion"),
        ("CK+/extended-cohn-kanade-images/cohn-kanade-images", "CK+/Emotion_labels/Emotion"),
        ("everything", "everything"),
    ],
)
def test_any_nesting_and_name(tmp_path: Path, images: str, labels: str) -> None:
    ckplus_sequence(tmp_path, "S005", "001", 3, 3, images=images, labels=labels)
    assert summarise("ckplus", tmp_path)["classes"]["disgust"] == 1


def test_letter_case_of_every_name(tmp_path: Path) -> None:
    write_image(tmp_path / "images/s005/001/s005_001_00000001.PNG")
    write_text(tmp_path / "emotion/s005/001/s005_001_00000001_EMOTION.TXT", "   5.0000000e+00\n")
    sequences, skipped = read(tmp_path)
    assert not skipped
    assert (sequences["S005_001"].subject, sequences["S005_001"].label) == ("S005", "happiness")


def test_strays_are_no_frames(release: Path) -> None:
    folder = release / "cohn-kanade-images/S005/001"
    write_text(folder / "._S005_001_00000001.png", b"\0\5\x16\7")
    write_text(folder / "Thumbs.db", b"\xd0\xcf")
    write_text(folder / "desktop.ini", "[x]")
    write_image(release / "__MACOSX/cohn-kanade-images/S777/001/S777_001_00000001.png")
    write_text(release / "Emotion/S005/001/._S005_001_00000011_emotion.txt", b"\0\5")
    sequences, skipped = read(release)
    assert len(sequences["S005_001"].images) == 11 and "S777_001" not in sequences and not skipped


def test_an_empty_emotion_folder_is_no_label(release: Path) -> None:
    assert not any((release / "Emotion/S138/002").iterdir())
    sequences, skipped = read(release)
    assert sequences["S138_002"].label is None and not skipped


def test_label_files_are_found_by_their_end(tmp_path: Path) -> None:
    """Their number need not be the last frame's, and the read-me's own example has a slip."""
    ckplus_sequence(tmp_path, "S005", "001", 11)
    write_text(tmp_path / "Emotion/S005/001/S005_001_00000010_emotion.txt", "   3.0000000e+00\n")
    write_text(tmp_path / "FACS/S005/001/S0005_001_00000011_facs.txt", "   9.0e+00   2.0e+00\n")
    sequences, skipped = read(tmp_path)
    assert (sequences["S005_001"].label, sequences["S005_001"].action_units) == ("disgust", ((9, 2.0),))
    assert not skipped


def test_mixed_picture_sizes_grey_and_colour(tmp_path: Path) -> None:
    shapes = {"S005_001": (49, 64), "S501_001": (48, 64, 3), "S895_001": (48, 64, 4)}
    for name, shape in shapes.items():
        ckplus_sequence(tmp_path, name[:4], "001", 3, 1, shape=shape)
    sequences, skipped = read(tmp_path)
    assert sequences.keys() == shapes.keys() and not skipped
    for name, sequence in sequences.items():
        frames = list(read_frames(sequence.source, sequence.images))
        assert {frame.shape for frame in frames} == {(*shapes[name][:2], 3)}
        grey = (frames[0] == frames[0][..., :1]).all()
        assert grey == (name == "S005_001")


def test_an_archive_unpacked_twice_counts_once(tmp_path: Path) -> None:
    for images in ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images"):
        ckplus_sequence(tmp_path, "S005", "001", 4, 1, images=images)
    sequences, _ = read(tmp_path)
    assert len(sequences) == 1 and len(sequences["S005_001"].images) == 4


def test_frames_sort_by_number(tmp_path: Path) -> None:
    for frame in (1, 2, 9, 10, 11):
        write_image(tmp_path / f"i/S005/001/S005_001_{frame}.png")
    sequences, _ = read(tmp_path)
    assert [image.stem.split("_")[2] for image in sequences["S005_001"].images] == ["1", "2", "9", "10", "11"]


def test_a_sequence_split_over_two_folders_comes_in_order(tmp_path: Path) -> None:
    for frame in range(1, 12):
        write_image(tmp_path / f"part{frame % 2}/S005/001/S005_001_{frame:08d}.png")
    sequences, _ = read(tmp_path)
    assert [int(image.stem[-2:]) for image in sequences["S005_001"].images] == list(range(1, 12))


def test_facs_codes(tmp_path: Path) -> None:
    ckplus_sequence(tmp_path, "S005", "001", 2, 1, facs="   4.0000000e+00   0.0000000e+00\n   1.7e+01   5.0e+00\n")
    for number, content in (("002", "rubbish"), ("003", "4 6"), ("004", "4 -1"), ("005", "4 1 1"), ("006", "4.5 1")):
        ckplus_sequence(tmp_path, "S005", number, 2, 1, facs=content)
    ckplus_sequence(tmp_path, "S005", "007", 2, 1, facs="\ufeff4 2\n")  # as an editor on Windows saves it
    sequences, skipped = read(tmp_path)
    assert sequences["S005_001"].action_units == ((4, 0.0), (17, 5.0))
    assert sequences["S005_007"].action_units == ((4, 2.0),)
    assert all(sequences[f"S005_00{n}"].action_units == () for n in range(2, 7))
    assert list(skipped) == [f"FACS/S005/00{n}/S005_00{n}_00000002_facs.txt" for n in range(2, 7)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        ("happy", "not only numbers"),
        ("   0.0000000e+00\n", "code 0"),
        ("   8.0000000e+00\n", "code 8"),
        ("   2.5\n", "whole number"),
        ("nan", "whole number"),
        ("1e400", "whole number"),
        ("1 2", "2 numbers"),
        (b"\xff\xfe3\0", "not only numbers"),
        ("1" * 2**21, "larger than"),
    ],
)
def test_garbage_in_a_label_skips_that_sequence_alone(release: Path, content: str | bytes, reason: str) -> None:
    write_text(release / "Emotion/S138/001/S138_001_00000009_emotion.txt", content)
    sequences, skipped = read(release)
    assert list(skipped) == ["S138_001"] and reason in skipped["S138_001"]
    assert len(sequences) == 8


@pytest.mark.parametrize(("content", "reason"), [(b"", "zero bytes"), (b"no picture", "not a readable image")])
def test_unreadable_image_skips_that_sequence_alone(release: Path, content: bytes, reason: str) -> None:
    write_text(release / "cohn-kanade-images/S138/001/S138_001_00000004.png", content)
    sequences, skipped = read(release)
    assert skipped == {"S138_001": reason}
    assert [s.file for s in databases.scan("ckplus", release) if isinstance(s, Skipped)] == ["S138_001_00000004.png"]
    assert len(sequences) == 8


def test_labels_without_images_and_two_labels(release: Path) -> None:
    write_text(release / "Emotion/S700/001/S700_001_00000012_emotion.txt", "   1.0000000e+00\n")
    write_text(release / "Emotion/S005/001/S005_001_00000010_emotion.txt", "   1.0000000e+00\n")
    _, skipped = read(release)
    assert skipped == {"S700_001": "no images", "S005_001": "2 emotion labels"}


def test_images_alone_are_read_and_the_labels_missed(tmp_path: Path) -> None:
    ckplus_sequence(tmp_path, "S005", "001", 3)
    sequences, skipped = read(tmp_path / "cohn-kanade-images")
    assert list(sequences) == ["S005_001"] and "not one emotion label" in skipped["Emotion"]


def test_links_out_of_the_release_are_not_followed(release: Path, tmp_path: Path) -> None:
    outside = ckplus_sequence(tmp_path / "elsewhere", "S600", "001", 3)
    (release / "cohn-kanade-images/S600").symlink_to(outside.parent)
    (release / "cohn-kanade-images/S005/001/loop").symlink_to("loop")
    (release / "cohn-kanade-images/S005/009").symlink_to("002")
    image = release / "cohn-kanade-images/S005/001/S005_001_00000001.png"
    image.rename(release / "object").rename(release / "object.png")
    image.symlink_to(release / "object.png")
    sequences, skipped = read(release)
    assert "S600_001" not in sequences and "S005_009" not in sequences
    assert len(sequences["S005_001"].images) == 11
    assert {name.removeprefix("cohn-kanade-images/") for name in skipped} == {"S600", "S005/001/loop", "S005/009"}
    assert all(why.startswith("a link to") for why in skipped.values())


def test_forbidden_folder(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    scandir = os.scandir

    def forbidding(folder: Path) -> object:
        if str(folder).endswith("S138/001"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", forbidding)
    sequences, skipped = read(release)
    assert "S138_001" not in sequences and len(sequences) == 8
    assert skipped["cohn-kanade-images/S138/001"] == "cannot be read: Permission denied"


def test_a_whole_disk_given_by_mistake_ends_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer3d.data.databases.release.MAX_FOLDERS", 3)
    for k in range(9):
        (tmp_path / f"{k}/1/2/3/4/5/6").mkdir(parents=True)
    assert len(list(Release(tmp_path).walk())) == 1 + 3 * 4  # five levels with the root


@pytest.mark.parametrize("database", databases.READERS)
def test_a_folder_called_as_an_emotion_makes_no_look_alike(database: str, tmp_path: Path) -> None:
    write_image(tmp_path / "happy/1.png")
    with pytest.raises(InputError, match="holds no such files"):
        databases.scan(database, tmp_path)


@pytest.mark.parametrize("database", databases.READERS)
@pytest.mark.parametrize(
    ("files", "called"),
    [
        ([f"CK+48/{emotion}/S010_004_00000017.png" for emotion in ("anger", "contempt", "disgust")], r"CK\+48"),
        ([f"train/{emotion}/im0.png" for emotion in ("angry", "happy", "neutral")], "FER"),
        (["ckextended.csv"], "FER2013"),
        (["fer2013.csv"], "FER2013"),
        (["Images/SN001/A1_AU1_TrailNo_1/00000.jpg"], r"DISFA\+"),
    ],
    ids=["CK+48", "FER folders", "CK+48 CSV", "FER CSV", "DISFA+"],
)
def test_look_alikes_are_refused_by_name(tmp_path: Path, database: str, files: list[str], called: str) -> None:
    for name in files:
        if name.endswith(".csv"):
            table = write_text(tmp_path / name, "emotion,pixels,Usage\n6,36 39 35,Training\n")
            with pytest.raises(InputError, match=called):
                databases.scan(database, table)
        else:
            write_image(tmp_path / name)
    with pytest.raises(InputError, match=called):
        databases.scan(database, tmp_path)


def test_a_look_alike_inside_a_release_is_left_alone(release: Path) -> None:
    write_image(release / "CK+48/anger/S010_004_00000017.png")
    write_text(release / "ckextended.csv", "emotion,pixels,Usage\n6,36 39 35,Training\n")
    sequences, skipped = read(release)
    assert len(sequences) == 9 and not skipped


def test_refused_by_name(tmp_path: Path) -> None:
    def refusal(root: Path) -> str:
        with pytest.raises(InputError) as refused:
            databases.scan("ckplus", root)
        return str(refused.value)

    assert "does not exist" in refusal(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "is empty" in refusal(tmp_path / "empty")
    assert "is a file" in refusal(write_text(tmp_path / "a.zip", "PK"))
    write_text(tmp_path / "other/notes.txt", "x")
    assert "holds no such files" in refusal(tmp_path / "other")
    write_text(tmp_path / "m/Sessions/2/session.xml", "<session/>")
    assert "looks like MMI" in refusal(tmp_path / "m") and "fer3d index mmi" in refusal(tmp_path / "m")
