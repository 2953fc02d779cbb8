"""Own videos: a folder with a table of paths, labels and subjects."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from trees import build_table, read, write_image, write_text, write_video

from fer3d.config import ClipSettings
from fer3d.data import clips, databases, splits
from fer3d.data.databases import Sequence, Skipped
from fer3d.data.databases.release import Release
from fer3d.data.faces import FaceTracker
from fer3d.data.video import frame_times
from fer3d.errors import InputError

Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Writes ``labels.csv`` next to a video of 30 frames at 25 frames/s and a folder of three images."""
    write_video(tmp_path / "a.avi", frames=30)
    for number in (1, 2, 10):
        write_image(tmp_path / "stills" / f"{number}.png")

    def write(*lines: str, columns: str = "path,label,subject") -> Path:
        write_text(tmp_path / "labels.csv", "\n".join([columns, *lines]) + "\n")
        return tmp_path

    return write


def left_out(root: Path) -> dict[str, tuple[str, str]]:
    """The reason and the file of each line that is left out."""
    found = (entry for entry in databases.scan("table", root) if isinstance(entry, Skipped))
    return {entry.what: (entry.why, entry.file) for entry in found}


def counted(sequence: Sequence) -> list[int]:
    """The numbers of the frames that count."""
    return [
        number for number, seconds in frame_times(sequence.source, sequence.images) if sequence.holds(number, seconds)
    ]


def test_a_line_is_a_recording_or_a_part_of_one(tmp_path: Path) -> None:
    build_table(tmp_path)
    sequences, skipped = read("table", tmp_path)
    found = {name: (s.subject, s.label, s.last, len(s.images)) for name, s in sequences.items()}
    assert found == {
        "Anna.avi 0.2-0.6 s": ("anna", "happiness", None, 0),
        "Anna.avi 0.6- s": ("anna", "bored", None, 0),
        "more/ben.mp4": ("ben", "anger", None, 0),
        "stills": ("carla", "neutral", None, 2),
    }
    assert counted(sequences["Anna.avi 0.2-0.6 s"]) == list(range(5, 15))  # at 25 frames/s
    assert [image.name for image in sequences["stills"].images] == ["2.png", "10.png"]
    assert skipped == {}


def test_a_line_that_names_the_separator_is_passed_over(table: Table) -> None:
    root = table("path;label;subject", "a.avi;joy;anna", "a.avi;glee;anna", columns="sep=;")
    sequences, _ = read("table", root)
    assert [s.subject for s in sequences.values()] == ["anna"] and "line 4" in str(left_out(root))


@pytest.mark.parametrize("words", ["joy,HAPPY,Happiness", "Angry,anger,ANGER", "sad,sadness,Sad", "calm,CALM,Calm"])
def test_labels_are_mapped_by_name(words: str, table: Table) -> None:
    parts = [f"a.avi,{word},anna,{k}" for k, word in enumerate(words.split(","))]
    sequences, skipped = read("table", table(*parts, columns="path,label,subject,start_frame"))
    assert len({s.label for s in sequences.values()}) == 1 and len(sequences) == 3 and not skipped


def test_unknown_labels_missing_files_and_subjects_are_listed_by_line(table: Table) -> None:
    root = table(
        "a.avi,hapy,anna", "a.avi,happy,anna", "b.avi,happy,ben", "stills,fear,", "../a.avi,fear,x", "/,fear,x"
    )
    found = left_out(root)
    assert {line: why for line, (why, _) in found.items()} == {
        "line 2": "unknown label 'hapy'",
        "line 4": "no such file",
        "line 5": "no subject",
        "line 6": "no such file",
        "line 7": "a folder without images",
    }
    assert found["line 4"][1] == "b.avi" and list(read("table", root)[0]) == ["a.avi"]


def test_files_that_differ_in_letter_case_alone_are_told_apart(table: Table) -> None:
    root = table("b.avi,happy,ben", "B.avi,sad,bea", "A.AVI,fear,anna")
    for frames, name in enumerate(("b.avi", "B.avi"), start=2):
        write_video(root / name, frames)
    sequences, skipped = read("table", root)
    found = {s.subject: s.source.name for s in sequences.values()}
    assert found == {"ben": "b.avi", "bea": "B.avi", "anna": "a.avi"} and not skipped


def test_people_are_those_of_labelled_recordings(table: Table) -> None:
    root = table(
        "a.avi,happy,anna,0", "stills,sad,ben,", "stills,,cleo,2", "*,pain,dora,", columns="path,label,subject,fold"
    )
    assert databases.READERS["table"].people(Release(root)) == {"anna": 0, "ben": None}


def test_a_declared_class_is_known_wherever_the_line_stands(table: Table) -> None:
    sequences, skipped = read("table", table("a.avi,Pain,anna", "*,pain,", "*,joy,", "stills,joy,ben"))
    assert [s.label for s in sequences.values()] == ["pain", "joy"] and not skipped


@pytest.mark.parametrize(
    ("columns", "values", "first", "last"),
    [
        ("start,end", "0.4,0.8", 10, 20),
        ("start,end", ",0.8", 0, 20),
        ("start,end", "0.4,", 10, None),
        ("start_frame,end_frame", "3,12", 3, 12),
        ("start_frame,end_frame", ",", 0, None),
    ],
)
def test_parts_are_in_seconds_or_in_frames(columns: str, values: str, first: int, last: int, table: Table) -> None:
    sequences, _ = read("table", table(f"a.avi,fear,anna,{values}", columns=f"path,label,subject,{columns}"))
    (sequence,) = sequences.values()
    assert counted(sequence) == list(range(first, last or 30))


@pytest.mark.parametrize(
    ("path", "columns", "values", "why"),
    [
        ("a.avi", "start,end", "2,1", "no frame from 2 to 1"),
        ("a.avi", "start,end", "-1,1", "no frame from -1 to 1"),
        ("a.avi", "start,end", "nan,1", "no frame from nan to 1"),
        ("a.avi", "start,end", "1.2,9", "no frame from 1.2 to 9: it has 30 frames"),
        ("a.avi", "start_frame", "30", "no frame from 30 to the end: it has 30 frames"),
        ("a.avi", "start_frame,end_frame", "1000000000,", "no frame from 1000000000 to the end: it has 30 frames"),
        ("a.avi", "start_frame,end_frame", "1e1,", "start_frame or end_frame is not a whole number"),
        ("a.avi", "start_frame,end_frame", "1_0,", "start_frame or end_frame is not a whole number"),
        ("a.avi", "start_frame,end_frame", "1.5,7.7", "start_frame or end_frame is not a whole number"),
        ("a.avi", "start_frame,end_frame", "7,7", "no frame from 7 to 7"),
        ("a.avi", "start,end", "0.5,0.5", "no frame from 0.5 to 0.5"),
        ("a.avi", "start,end", "0.49,0.485", "no frame from 0.49 to 0.485"),
        ("a.avi", "start,end", "0_0.1,1", "start or end is not a number"),
        ("a.avi", "start,end", "now,", "start or end is not a number"),
        ("stills", "start,end", "1,2", "seconds need a frame rate, which it has not"),
        ("a.avi", "start,end_frame", "1,2", "start or end both in seconds and in frames"),
        ("a.avi", "fold", "x", "fold 'x' is not a whole number"),
    ],
)
def test_impossible_parts_and_folds_are_listed(path: str, columns: str, values: str, why: str, table: Table) -> None:
    root = table(f"{path},fear,anna,{values}", columns=f"path,label,subject,{columns}")
    assert left_out(root) == {"line 2": (why, path)}


def test_the_same_recording_twice_and_a_subject_in_two_folds_are_listed(table: Table) -> None:
    root = table("a.avi,fear,anna,0", "A.AVI,fear,anna,0", "stills,fear,anna,1", columns="path,label,subject,fold")
    assert {line: why for line, (why, _) in left_out(root).items()} == {
        "line 3": "the same recording as in line 2",
        "line 4": "subject anna is in fold 0 in line 2 and in fold 1 here",
    }


def test_the_same_recording_with_another_label_or_person_is_said_to_have_one(table: Table) -> None:
    root = table("a.avi,anger,A", "a.avi,fear,a", "a.avi,anger,B", "a.avi,fear,B", "a.avi,,A")
    assert {line: why for line, (why, _) in left_out(root).items()} == {
        "line 3": "the same recording as in line 2 with another label",
        "line 4": "the same recording as in line 2 with another subject",
        "line 5": "the same recording as in line 2 with another label and subject",
        "line 6": "the same recording as in line 2",
    }


def test_frames_with_two_labels_or_two_people_are_listed(table: Table) -> None:
    root = table(
        *("a.avi,fear,anna,0,20", "a.avi,anger,anna,19,", "a.avi,fear,ben,10,12", "a.avi,fear,anna,10,30"),
        *("a.avi,,anna,0,30", "a.avi,anger,ben,20,30", "stills,fear,ben,0,1", "stills,anger,carl,1,"),
        columns="path,label,subject,start_frame,end_frame",
    )
    assert {line: why for line, (why, _) in left_out(root).items()} == {
        "line 3": "some of its frames have another label in line 2",
        "line 4": "some of its frames have another subject in line 2",
        "line 7": "some of its frames have another label in line 5",
    }


def test_a_copy_or_a_link_is_the_same_recording(table: Table) -> None:
    root = table("a.avi,fear,anna", "copy.avi,anger,ben", "link.avi,fear,carl", "stills,fear,ben", "more,fear,dora")
    shutil.copy(root / "a.avi", root / "copy.avi")
    (root / "link.avi").symlink_to("a.avi")
    shutil.copytree(root / "stills", root / "more")
    assert {line: why for line, (why, _) in left_out(root).items()} == {
        "line 3": "the same recording as in line 2 with another label and subject",
        "line 4": "the same recording as in line 2 with another subject",
        "line 6": "the same recording as in line 5 with another subject",
    }


def test_a_recording_is_opened_once_and_its_flaw_said_once(table: Table) -> None:
    root = table(
        *(f"a.avi,fear,anna,{n},{n + 1}" for n in range(5)), columns="path,label,subject,start_frame,end_frame"
    )
    content = (root / "a.avi").read_bytes()
    (root / "a.avi").write_bytes(content[: len(content) * 3 // 4])
    found = list(databases.scan("table", root))
    assert [entry.why for entry in found if isinstance(entry, Skipped)] == ["frame 18 of 30: the file breaks off"]


def test_a_part_that_ends_behind_the_recording_is_noted(table: Table) -> None:
    root = table("a.avi,fear,anna,0,2.1", "a.avi,fear,anna,0.1,2.3", columns="path,label,subject,start,end")
    sequences, skipped = read("table", root)
    assert len(sequences) == 2 and skipped == {"a.avi": "line 3 ends behind the last of the 30 frames"}


@pytest.mark.parametrize(
    ("line", "columns"),
    [("a.avi,fear,Smith, John", "path,label,subject"), ("a.avi,fear,anna,0,5,1,5", "path,label,subject,start,end")],
)
def test_a_value_that_is_cut_in_two_is_listed(line: str, columns: str, table: Table) -> None:
    root = table(line, "stills,fear,ben,,,,,", columns=columns)
    assert left_out(root) == {"line 2": ("more values than columns", "a.avi")}


def test_a_line_without_a_path_is_listed(table: Table) -> None:
    root = table(",fear,anna")
    for number in (1, 2):
        write_image(root / f"{number}.png")
    assert left_out(root) == {"line 2": ("no path", "")}
    assert databases.READERS["table"].people(Release(root)) == {}


def test_a_person_is_one_however_the_name_is_spelt(table: Table) -> None:
    """Or he would be in the training set and in the test set."""
    root = table("a.avi,fear,Zo\u00eb", "stills,fear,zoe\u0308", "*,gl\u00fcck,", "b.avi,Glu\u0308ck,ZO\u00cb ")
    write_video(root / "b.avi")
    sequences, skipped = read("table", root)
    assert [s.subject for s in sequences.values()] == 3 * ["Zo\u00eb"] and not skipped
    assert databases.READERS["table"].people(Release(root)) == {"Zo\u00eb": None}


def test_seconds_are_those_of_the_frames_where_their_rate_varies(tmp_path: Path) -> None:
    """Thirty frames in the first 0.9 s, then ten in 2 s: by the mean rate, 0.9 s would be frame 12."""
    pictures = [Image.fromarray(np.full((48, 64, 3), 6 * number, np.uint8)) for number in range(40)]
    times = {"duration": [30] * 30 + [200] * 10}
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], **times)
    write_text(tmp_path / "labels.csv", "path,label,subject,start,end\na.gif,fear,anna,,0.9\na.gif,anger,anna,0.9,\n")
    early, late = read("table", tmp_path)[0].values()
    assert abs(len(counted(early)) - 30) <= 1 and len(counted(early)) + len(counted(late)) == 40
    settings = ClipSettings.from_params({"sampling": "tens"})
    dropped = [clip for clip in clips.cut(late, FaceTracker(settings)) if isinstance(clip, clips.DroppedClip)]
    assert dropped[0].first_frame == counted(late)[0] and clips.spread_frames(early, settings) is None
    spread = clips.spread_frames(early, ClipSettings())
    assert spread is not None and (spread[0], spread[-1]) == (0, counted(early)[-1])


def test_seconds_select_frames_where_the_header_has_no_count_and_another_rate(tmp_path: Path) -> None:
    """As in what browsers record."""
    content = write_video(tmp_path / "a.mkv", frames=60, codec="mp4v").read_bytes()
    at = content.index(b"\x44\x89\x88")  # the duration
    content = content[:at] + b"\xec\x89" + content[at + 2 :]
    write_text(tmp_path / "a.mkv", content)
    at = content.index(b"\x23\xe3\x83\x84") + 4  # the nanoseconds of a frame
    write_text(tmp_path / "b.mkv", content[:at] + (10**6).to_bytes(4, "big") + content[at + 4 :])
    lines = [f"{name}.mkv,fear,anna,{part}" for name in "ab" for part in ("1,2", "3,4")]
    write_text(tmp_path / "labels.csv", "\n".join(["path,label,subject,start,end", *lines]))
    sequences, skipped = read("table", tmp_path)
    assert [counted(sequence) for sequence in sequences.values()] == [list(range(25, 50))] * 2
    assert skipped == {f"line {n}": "no frame from 3 to 4: it has 60 frames" for n in (3, 5)}


@pytest.mark.parametrize(
    "content",
    [
        "path;label;subject\na.avi;fear;anna\n",
        'path,label,subject\na.avi,fear,"anna\n"\n',
        "PATH\tLabel\tsubject\r\nA.AVI\tFEAR\tanna\r\n\r\n",
        "\ufeffpath,label,subject\n.\\a.avi,fear,anna\n,,\n",
        "path,label,subject\na.avi,fear,anna\n".encode("utf-16"),
    ],
    ids=["semicolons", "a line break in a value", "tabs", "Windows", "UTF-16"],
)
def test_tables_are_read_as_spreadsheets_write_them(content: str | bytes, table: Table) -> None:
    root = table()
    write_text(root / "labels.csv", content)
    sequences, skipped = read("table", root)
    assert [(s.label, s.subject) for s in sequences.values()] == [("fear", "anna")] and not skipped


@pytest.mark.parametrize(
    "content",
    [
        "",
        "path,label\na.avi,fear\n",
        "path,label,subject,strat\n",
        "path,label,subject,path\n",
        b"path,label\xff\n",
        "\0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
    ],
)
def test_what_is_no_table_is_one_clear_line(content: str | bytes, table: Table) -> None:
    root = table()
    write_text(root / "labels.csv", content)
    with pytest.raises(InputError, match="expected path,label,subject"):
        list(databases.scan("table", root))


def test_a_class_that_cannot_be_declared_is_one_clear_line(table: Table) -> None:
    with pytest.raises(InputError, match=r"line 2 of labels\.csv declares the class '<b>'"):
        list(databases.scan("table", table("*,<b>,")))


def test_links_out_of_the_folder_are_not_followed(table: Table, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = write_video(tmp_path_factory.mktemp("elsewhere") / "b.avi")
    root = table("b.avi,fear,anna")
    (root / "b.avi").symlink_to(elsewhere)
    assert left_out(root)["line 2"][0] == "no such file"


def test_folds_of_the_table_are_those_of_the_store(table: Table) -> None:
    root = table("a.avi,fear,anna,1", "stills,anger,ben,0", columns="path,label,subject,fold")
    assert {s.subject: s.fold for s in read("table", root)[0].values()} == {"anna": 1, "ben": 0}
    assert databases.number_of_folds("table", root, 5) == 2


def test_folds_of_a_table_are_counted_from_0(table: Table) -> None:
    """Else ``--fold 1`` would mean the people of another fold."""
    root = table("a.avi,fear,anna,1", "stills,anger,ben,2", columns="path,label,subject,fold")
    with pytest.raises(
        InputError, match=r"the folds in labels\.csv are 1, 2: expected 0, 1; try numbering them from 0"
    ):
        read("table", root)


@pytest.mark.parametrize(("sampling", "starts"), [("whole", [5]), ("tens", [5, 15])])
def test_a_part_is_one_clip_or_successive_tens(sampling: str, starts: list[int], table: Table) -> None:
    """No face is found in these frames, so that each clip is dropped and named by its first frame."""
    root = table("a.avi,fear,anna,5,28", columns="path,label,subject,start_frame,end_frame")
    (sequence,) = read("table", root)[0].values()
    settings = ClipSettings.from_params({"sampling": sampling})
    dropped = [clip for clip in clips.cut(sequence, FaceTracker(settings)) if isinstance(clip, clips.DroppedClip)]
    assert [clip.first_frame for clip in dropped] == starts
    spread = np.linspace(5, 27, 10).round().astype(int).tolist()
    assert clips.spread_frames(sequence, settings) == (spread if sampling == "whole" else None)


def test_splits_keep_to_the_given_folds() -> None:
    manifest = pd.DataFrame(
        {"database": "table", "subject": list("aabbcc"), "label": "fear", "fold": [7, 7, 3, 3, 9, 9]}
    )
    assert splits.number_of_folds(manifest, 5) == 3
    train, test = splits.fold_split(manifest, 0, 3)
    assert test.tolist() == [2, 3] and train.tolist() == [0, 1, 4, 5]
    with pytest.raises(InputError, match="all clips are in one fold"):
        splits.fold_of(manifest.assign(fold=1), 5)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("path,label,subject,strat", "there is no column start but 'strat'"),
        ("path,labels,subject", "there is no column label but 'labels'"),
        ("path,label,subject,age", "it has another column, 'age'"),
        ("path,label,subject,", "it has another column, without a name"),
        ("path,label,subject,label", "it has the column label twice"),
        ("path,label", "it has no column subject"),
    ],
)
def test_the_wrong_column_is_named(columns: str, told: str, table: Table) -> None:
    with pytest.raises(InputError, match=rf"not a table that can be read \({re.escape(told)}\): expected path,label"):
        list(databases.scan("table", table("a.avi,fear,anna,1", columns=columns)))
