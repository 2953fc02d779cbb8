"""The FERA reader: both partitions, the ladder of labels, the actors; on miniature trees."""

from pathlib import Path

import pytest
from trees import fera_sequence, read, write_text, write_video

from fer3d.data import databases
from fer3d.data.databases import Skipped
from fer3d.data.databases.fera import ACTORS, UNITS, read_units
from fer3d.errors import InputError


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Both partitions; the emotion partition with labels in every form."""
    root = tmp_path / "GEMEP-FERA"
    fera_sequence(root, "au_training", "train_001", units=[[1, 2], [1, 2, 25, "speech"], []])
    fera_sequence(root, "au_training", "train_087", units=[[12]])
    fera_sequence(root, "emotion_training", "train_001", label="anger\n")
    fera_sequence(root, "emotion_training", "train_002", label="\ufeff JOY\r\n")
    fera_sequence(root, "emotion_training", "train_003", label="4\n")
    fera_sequence(root, "emotion_training", "train_004-fear")
    fera_sequence(root, "emotion_training/sadness", "train_005")
    fera_sequence(root, "emotion_training", "train_006")
    fera_sequence(root, "test/test", "test_001")
    write_text(root / "test/labels/test_001.dat", "relief")
    actors = "".join(
        f"{name},actor{n},\n"
        for n, name in enumerate(
            ["train_001", "train_002", "train_003", "train_004-fear", "train_005", "train_006", "test_001"], start=1
        )
    )
    write_text(root / "actors.csv", f"sequence,subject,emotion\n{actors}")
    return root


def test_whole_release(release: Path) -> None:
    sequences, skipped = read("fera", release)
    assert {name: (s.subject, s.label) for name, s in sequences.items()} == {
        "au_train_001": ("actor1", None),
        "au_train_087": ("actor7", None),
        "train_001": ("actor1", "anger"),
        "train_002": ("actor2", "happiness"),
        "train_004-fear": ("actor4", "fear"),
        "train_005": ("actor5", "sadness"),
        "train_006": ("actor6", None),
        "test_001": ("actor7", "relief"),
    }
    assert set(skipped) == {"train_003", "emotions"}
    assert "code 4 has no known meaning" in skipped["train_003"]
    assert skipped["emotions"] == "3 sequences have no emotion"
    assert sequences["test_001"].origin == "test/labels/test_001.dat"
    assert sequences["au_train_001"].action_units == ((1, 0.0), (2, 0.0), (25, 0.0))


def test_numbers_count_once_the_user_says_what_they_mean(release: Path) -> None:
    write_text(release.parent / "emotion_codes.csv", "code,emotion\n1,anger\n4,relief\n")
    assert read("fera", release)[0]["train_003"].label == "relief"


def test_the_users_table_overrides_the_emotion(release: Path) -> None:
    with (release / "actors.csv").open("a") as table:
        table.write("AU_train_001,somebody,Joy\n")
    sequence = read("fera", release)[0]["au_train_001"]
    assert (sequence.subject, sequence.label, sequence.origin) == ("somebody", "happiness", "actors.csv")


def test_without_actors_no_emotion_partition(release: Path) -> None:
    (release / "actors.csv").unlink()
    sequences, skipped = read("fera", release)
    assert list(sequences) == ["au_train_001", "au_train_087"]
    assert skipped["train_001"] == "the actor is not known"
    remedies = {s.remedy for s in databases.scan("fera", release) if isinstance(s, Skipped)}
    assert any("actors.csv" in remedy for remedy in remedies)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("actors.csv", "sequence,person\na,b\n"),
        ("actors.csv", "sequence,subject,emotion\ntrain_001,a,boredom\n"),
        ("actors.csv", "sequence,subject,emotion\ntrain_001,,joy\n"),
        ("actors.csv", "sequence,subject,emotion\ntrain_001\n"),
        ("actors.csv", b"\xff\xfe\0"),
        ("actors.csv", ""),
        ("emotion_codes.csv", "code,emotion\none,joy\n"),
    ],
)
def test_a_wrong_table_is_one_clear_line(release: Path, name: str, content: str | bytes) -> None:
    write_text(release / name, content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        read("fera", release)


def test_the_division_of_the_training_sequences() -> None:
    numbers = [number for numbers in ACTORS for number in numbers]
    assert numbers == list(range(1, 88)) and len(set(ACTORS.values())) == 7
    assert [len(numbers) for numbers in ACTORS] == [18, 14, 9, 15, 7, 16, 8]


@pytest.mark.parametrize("columns", [27, 47, 65])
def test_action_units_of_any_width(tmp_path: Path, columns: int) -> None:
    rows = [[0] * columns for _ in range(3)]
    rows[1][11] = rows[1][-1] = rows[2][24] = 1
    table = read_units(write_text(tmp_path / "a-au.dat", "\n".join(" ".join(map(str, row)) for row in rows)))
    assert list(table.columns) == [*UNITS, "speech"] and list(table.index) == [1, 2, 3]
    assert table[12].tolist() == [0, 1, 0] == table["speech"].tolist() and table[25].tolist() == [0, 0, 1]
    assert table.to_numpy().sum() == 3


def test_other_layouts(tmp_path: Path) -> None:
    root = tmp_path / "FERA2011_GEMEP"
    write_video(root / "training/01/clip.avi")
    write_text(root / "training/01/label.dat", "RELIEF")
    write_video(root / "flat/train_1.avi")
    write_text(root / "flat/train_1-emotion.txt", "joy")
    write_video(root / "flat/train_10.avi")
    write_text(root / "flat/train_10-emotion.txt", "fear")
    write_text(root / "actors.csv", "sequence,subject\nclip,a\ntrain_1,b\ntrain_10,c\n")
    sequences, skipped = read("fera", root)
    labels = {name: s.label for name, s in sequences.items()}
    assert labels == {"train_1": "happiness", "train_10": "fear", "clip": "relief"} and not skipped


def test_the_innermost_word_counts(release: Path) -> None:
    fera_sequence(release, "emotion_training/sadness", "train_006-joy")
    with (release / "actors.csv").open("a") as table:
        table.write("train_006-joy,actor1,\n")
    assert read("fera", release)[0]["train_006-joy"].label == "happiness"


def test_a_label_that_lies_out_of_the_release_is_not_read(release: Path) -> None:
    label = release / "test/labels/test_001.dat"
    label.symlink_to(label.rename(release.parent / "elsewhere.dat"))
    assert read("fera", release)[0]["test_001"].label is None


def test_labels_without_a_video(release: Path) -> None:
    write_text(release / "emotion_training/train_009/train_009-emotion.dat", "joy")
    write_text(release / "au_training/train_009/train_009-au.dat", "0 " * 47)
    _, skipped = read("fera", release)
    assert skipped["train_009"] == skipped["au_train_009"] == "no video"
    assert "test_001" not in skipped, "a folder of labels belongs to videos elsewhere"
