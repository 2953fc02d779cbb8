"""What all readers have in common, on small releases of each database; their own quirks are in test_databases_*.py."""

import os
import shutil
from pathlib import Path

import pytest
from trees import BUILD, read, write_image, write_text, write_video

from fer3d.data import databases
from fer3d.data.databases import Skipped
from fer3d.data.databases.release import Release
from fer3d.data.databases.summary import summarise
from fer3d.data.video import read_frames
from fer3d.errors import InputError


@pytest.fixture(params=BUILD)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


RELEASES = sorted(BUILD.keys() - {"table"})
"""The databases whose owners name the files; in a table the user does."""


def labels(database: str, root: Path) -> dict[str, object]:
    """What is read of each recording, wherever its files lie."""
    sequences, _ = read(database, root)
    return {
        name: (s.subject, s.label, s.frame_labels, s.action_units, s.views, len(s.images))
        for name, s in sequences.items()
    }


@pytest.mark.parametrize("database", RELEASES)
def test_letter_case_nesting_and_strays_change_nothing(database: str, tmp_path: Path) -> None:
    BUILD[database](tmp_path / "whole")
    expected = labels(database, tmp_path / "whole")
    for path in sorted((tmp_path / "whole").rglob("*"), reverse=True):  # the innermost first
        if path.suffix != ".csv":  # the user's tables
            path.rename(path.with_name(path.name.swapcase()))
    inside = tmp_path / "whole/one more folder"
    inside.mkdir()
    for folder in (tmp_path / "whole").iterdir():
        if folder.is_dir() and folder != inside:
            folder.rename(inside / folder.name)
    for path in list(inside.rglob("*.*")):
        for name in (f"._{path.name}", ".DS_Store", "Thumbs.db", "desktop.ini"):
            write_text(path.with_name(name), b"\0\5\x16\7")
    shutil.copytree(inside, tmp_path / "whole/__MACOSX")
    assert labels(database, tmp_path / "whole") == expected
    assert not {why for what, why in read(database, tmp_path / "whole")[1].items() if what != "emotions"}


@pytest.mark.parametrize("database", RELEASES)
def test_people_known_by_names_alone_are_those_of_the_labelled_sequences(database: str, tmp_path: Path) -> None:
    BUILD[database](tmp_path)
    sequences, _ = read(database, tmp_path)
    labelled = {s.subject for s in sequences.values() if s.label or any(s.frame_labels or ())}
    assert set(databases.READERS[database].people(Release(tmp_path))) == labelled
    assert databases.number_of_folds(database, tmp_path, 5) == len(labelled)
    assert databases.number_of_folds(database, tmp_path, 2) == 2


@pytest.mark.parametrize(
    ("database", "pictures"),
    [("ckplus", "cohn-kanade-images/S999"), ("disfa", "Videos_LeftCamera/LeftVideoSN032_comp.avi")],
)
def test_who_has_labels_and_no_pictures_is_not_expected_in_a_fold(database: str, pictures: str, tmp_path: Path) -> None:
    BUILD[database](tmp_path)
    (tmp_path / pictures).rename(tmp_path / "elsewhere")
    assert len(databases.READERS[database].people(Release(tmp_path))) == 2


@pytest.mark.parametrize("database", RELEASES)
def test_what_was_unpacked_twice_counts_once(database: str, tmp_path: Path) -> None:
    BUILD[database](tmp_path)
    expected = labels(database, tmp_path)
    for folder in [path for path in tmp_path.iterdir() if path.is_dir()]:
        shutil.copytree(folder, tmp_path / "second" / folder.name)
    assert labels(database, tmp_path) == expected
    notes = {"ravdess": "3 repeated: the same take with sound, or a second copy"}
    notes |= {"cremad": "3 repeated: a second copy"}
    reasons = {why for what, why in read(database, tmp_path)[1].items() if what != "emotions"}
    assert reasons == ({notes[database]} if database in notes else set())


def first_video(database: str, root: Path) -> Path:
    return next(path for path in sorted(root.rglob("*")) if path.suffix in (".avi", ".mp4", ".flv"))


@pytest.mark.parametrize("database", ["mmi", "disfa", "fera"])
def test_of_two_recordings_of_one_name_the_fuller_is_used_and_the_other_noted(database: str, tmp_path: Path) -> None:
    """Wherever it lies: the order in which folders are visited does not count."""
    for place, frames in (("copy 1", 3), ("copy 2", 6), ("copy 3", 4)):
        BUILD[database](tmp_path / place)
        write_video(first_video(database, tmp_path / place), frames=frames, size=(72, 58))
    for table in tmp_path.glob("copy 1/*.csv"):
        table.rename(tmp_path / table.name)
    sequences, skipped = read(database, tmp_path)
    used = first_video(database, tmp_path / "copy 2")
    assert used in {sequence.source for sequence in sequences.values()}
    for place in ("copy 1", "copy 3"):
        other = first_video(database, tmp_path / place).relative_to(tmp_path)
        assert skipped[str(other)] == f"another recording of this name; {used.relative_to(tmp_path)} is used"


@pytest.mark.parametrize("database", ["mmi", "disfa", "fera", "ravdess", "cremad"])
def test_a_folder_of_images_in_place_of_a_video_is_the_same_sequence(database: str, tmp_path: Path) -> None:
    BUILD[database](tmp_path)
    expected = labels(database, tmp_path)
    for video in [path for path in tmp_path.rglob("*") if path.suffix in (".avi", ".mp4", ".flv")]:
        folder = video.parent if database == "fera" else video.with_suffix("")  # FERA's videos have folders already
        for number, frame in enumerate(read_frames(video)):
            write_image(folder / f"{number}.png", picture=frame)
        video.unlink()
    assert labels(database, tmp_path) == {name: (*found[:-1], 3) for name, found in expected.items()}


def test_a_flaw_that_decoding_finds_again_is_noted_once(tmp_path: Path) -> None:
    BUILD["mmi"](tmp_path)
    video = write_video(first_video("mmi", tmp_path), frames=30, size=(72, 58))
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    (noted,) = summarise("mmi", tmp_path, frames=True)["skipped"]
    assert noted["what"] == str(video.relative_to(tmp_path)) and "of 30: the file breaks off" in noted["why"]


def test_a_video_comes_before_images_that_may_have_been_made_of_it(tmp_path: Path) -> None:
    BUILD["mmi"](tmp_path)
    folder = tmp_path / "Sessions" / "2" / "S001-002"
    for number in range(9):
        write_image(folder / f"{number}.png", (720, 576, 3))
    sequences, skipped = read("mmi", tmp_path)
    assert not sequences["S001-002"].images
    assert "Sessions/2/S001-002.avi is used" in skipped["Sessions/2/S001-002"]


NOT_NUMBERS = {"": "empty", "happy": "not only numbers", b"\xff\xfe3\0": "not only numbers", "1" * 2**21: "larger than"}
DAMAGE: dict[tuple[str, str], dict[str | bytes, str]] = {
    ("ckplus", "S005_001_00000003_emotion.txt"): {
        **NOT_NUMBERS,
        "   0.0000000e+00\n": "code 0",
        "   8.0000000e+00\n": "code 8",
        "   2.5\n": "whole number",
        "nan": "whole number",
        "1e400": "whole number",
        "1 2": "2 numbers",
    },
    ("ckplus", "S005_001_00000002.png"): {b"": "zero bytes", b"no picture": "not a readable image"},
    ("mmi", "S001-002.avi"): {b"": "zero bytes", b"RIFF\0\0\0\0AVI broken": "not one frame"},
    ("mmi", "S001-002.xml"): {b"<Data><Metatag": "not valid XML"},
    ("mmi", "session.xml"): {b"<session>": "not valid XML"},
    ("disfa", "SN001_au12.txt"): {
        **NOT_NUMBERS,
        **dict.fromkeys(["1,6\n", "1,0.5\n", "1,-1\n", "2,0\n", "1,0\n3,0\n", "1,0,0\n", "1,nan\n"], "not lines frame"),
    },
    ("disfa", "LeftVideoSN001_comp.avi"): {b"": "zero bytes", b"RIFF\0\0\0\0AVI ": "not one frame"},
    ("fera", "train_101-emotion.dat"): {
        "": "empty",
        **dict.fromkeys(["boredom", "anger or joy", "\0\xff"], "not only numbers"),
        "1 2": "neither an emotion nor a single number",
        "4": "code 4 has no known meaning",
    },
    ("fera", "train_101.avi"): {b"": "zero bytes", b"RIFF\0\0\0\0AVI ": "not one frame"},
}
"""Contents of a file of the first labelled recording, and the reason for which it is left out."""


@pytest.mark.parametrize(
    ("place", "content", "reason"),
    [(place, content, reason) for place, cases in DAMAGE.items() for content, reason in cases.items()],
)
def test_a_damaged_file_leaves_out_its_recording_alone(
    place: tuple[str, str], content: str | bytes, reason: str, tmp_path: Path
) -> None:
    database, name = place
    BUILD[database](tmp_path)
    before = labels(database, tmp_path)
    write_text(next(tmp_path.rglob(name)), content)
    after = labels(database, tmp_path)
    assert len(after) == len(before) - 1 and after.items() <= before.items()
    [left_out] = [s for s in databases.scan(database, tmp_path) if isinstance(s, Skipped) and s.what != "emotions"]
    assert reason in left_out.why and name in left_out.what + left_out.file


@pytest.mark.parametrize(
    ("database", "name", "contents"),
    [
        ("ckplus", "S005_001_00000003_facs.txt", ["", "rubbish", "4 6", "4 -1", "4 1 1", "4.5 1"]),
        ("mmi", "S001-002-oao_aucs.xml", ["", "<D>"]),
        ("fera", "train_001-au.dat", ["", "0 1 0\n", "x", "2 " * 30, "0 " * 30 + "\n" + "0 " * 29]),
    ],
)
def test_damaged_action_units_leave_the_recording(
    database: str, name: str, contents: list[str], tmp_path: Path
) -> None:
    BUILD[database](tmp_path)
    before = read(database, tmp_path)[0]
    for content in contents:
        file = write_text(next(tmp_path.rglob(name)), content)
        after, skipped = read(database, tmp_path)
        assert [s.label for s in after.values()] == [s.label for s in before.values()]
        assert [s.action_units for s in after.values()].count(()) == [s.action_units for s in before.values()].count(
            ()
        ) + 1
        assert str(file.relative_to(tmp_path)) in skipped


def test_links_out_of_the_release_are_not_followed(tmp_path: Path) -> None:
    BUILD["ckplus"](tmp_path / "elsewhere")
    BUILD["ckplus"](tmp_path / "release")
    images = tmp_path / "release/cohn-kanade-images"
    (images / "S600").symlink_to(tmp_path / "elsewhere/cohn-kanade-images/S005")
    (images / "S005/001/loop").symlink_to("loop")
    (images / "S005/009").symlink_to("001")
    image = images / "S005/001/S005_001_00000001.png"
    image.symlink_to(image.rename(tmp_path / "release/object.png"))  # as git-annex and DVC do: followed
    sequences, skipped = read("ckplus", tmp_path / "release")
    assert list(sequences) == ["S005_001", "S010_001", "S999_001"] and len(sequences["S005_001"].images) == 3
    assert {name.removeprefix("cohn-kanade-images/") for name in skipped} == {"S600", "S005/001/loop", "S005/009"}
    assert all(why.startswith("a link to") for why in skipped.values())


def test_a_forbidden_folder_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def forbidding(folder: Path) -> object:
        if str(folder).endswith("S010/001"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    BUILD["ckplus"](tmp_path)
    monkeypatch.setattr(os, "scandir", forbidding)
    sequences, skipped = read("ckplus", tmp_path)
    assert list(sequences) == ["S005_001", "S999_001"]
    assert skipped["cohn-kanade-images/S010/001"] == "cannot be read: Permission denied"


def test_a_whole_disk_given_by_mistake_ends_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer3d.data.databases.release.MAX_FOLDERS", 3)
    for k in range(9):
        (tmp_path / f"{k}/1/2/3/4/5/6").mkdir(parents=True)
    assert len(list(Release(tmp_path).walk())) == 1 + 3 * 7


def test_a_release_lies_deep(tmp_path: Path) -> None:
    BUILD["mmi"](tmp_path / "a/b/c/d/e/f")
    assert len(read("mmi", tmp_path)[0]) == 3


def test_archives_that_are_not_unpacked_are_named(tmp_path: Path) -> None:
    write_text(tmp_path / "CK+/extended-cohn-kanade-images.zip", "PK")
    with pytest.raises(InputError, match=r"not unpacked \(CK\+/extended-cohn-kanade-images\.zip\)"):
        read("ckplus", tmp_path)


@pytest.mark.parametrize("other", BUILD)
def test_another_database_is_named_though_a_look_alike_lies_in_it(database: str, other: str, tmp_path: Path) -> None:
    BUILD[other](tmp_path)
    write_text(tmp_path / "ckextended.csv", "emotion,pixels,Usage\n0,1 2 3,Training\n")
    if database == other:
        assert summarise(database, tmp_path)["sequences"] >= 3
        return
    with pytest.raises(InputError, match=rf"looks like .*fer3d index {other}"):
        databases.scan(database, tmp_path)


@pytest.mark.parametrize(
    ("files", "called"),
    [
        ([f"CK+48/{emotion}/S010_004_00000017.png" for emotion in ("anger", "contempt", "disgust")], r"CK\+48"),
        ([f"train/{emotion}/im0.png" for emotion in ("angry", "happy", "neutral")], "FER"),
        (["fer2013.csv"], "FER2013"),
        (["Images/SN001/A1_AU1_TrailNo_1/00000.jpg"], r"DISFA\+"),
        (["happy/1.png"], "holds no such files"),  # one folder called as an emotion is no look-alike
    ],
    ids=["CK+48", "FER folders", "CSV", "DISFA+", "none"],
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


def test_what_is_no_release_is_one_clear_line(database: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_text(tmp_path / "other/notes.txt", "x")
    write_text(tmp_path / "a.zip", "PK")
    problems = {
        "nothing": "does not exist",
        "x" * 300: "cannot be read",
        "a\0b": "does not exist",
        "no\nfolder": "does not exist",
    }
    problems |= {"empty": "is empty", "a.zip": "is a file", "other": "holds no such files"}
    for name, problem in problems.items():
        with pytest.raises(InputError, match=problem) as refused:
            databases.scan(database, tmp_path / name)
        assert str(refused.value).isprintable()
