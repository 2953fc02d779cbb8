"""RAVDESS: names of seven numbers, each take once, whatever modalities are there."""

from pathlib import Path

from trees import LFS_POINTER, ravdess_take, read, write_text, write_video

from fer3d.data import databases
from fer3d.data.databases.release import Release


def test_each_take_counts_once_and_the_one_without_sound_first(tmp_path: Path) -> None:
    ravdess_take(tmp_path, 1, "01-03", "01")
    ravdess_take(tmp_path, 1, "01-03", "02")
    ravdess_take(tmp_path, 18, "01-02", "01")  # only with sound
    write_text(tmp_path / "Actor_01/03-01-03-01-01-01-01.wav", "RIFF")
    ravdess_take(tmp_path, 1, "01-04", "03")  # sound only, whatever the suffix says
    sequences, skipped = read("ravdess", tmp_path)
    assert {name: (s.subject, s.label, s.source.name) for name, s in sequences.items()} == {
        "02-01-03-01-01-01-01": ("Actor_01", "happiness", "02-01-03-01-01-01-01.mp4"),
        "01-01-02-01-01-01-18": ("Actor_18", "calm", "01-01-02-01-01-01-18.mp4"),
    }
    assert skipped == {"takes": "1 repeated: the same take with sound, or a second copy"}


def test_the_eight_emotions(tmp_path: Path) -> None:
    for number in range(1, 9):
        ravdess_take(tmp_path, 2, f"01-{number:02d}")
    order = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
    assert tuple(s.label for s in read("ravdess", tmp_path)[0].values()) == order


def test_a_damaged_file_is_replaced_by_the_same_take_with_sound(tmp_path: Path) -> None:
    ravdess_take(tmp_path, 1, "01-03", "01")
    ravdess_take(tmp_path, 1, "01-05")
    write_text(tmp_path / "Actor_01/02-01-03-01-01-01-01.mp4", LFS_POINTER)
    sequences, _ = read("ravdess", tmp_path)
    assert sequences["02-01-03-01-01-01-01"].source.name == "01-01-03-01-01-01-01.mp4"


def test_of_several_copies_of_a_take_the_fuller_and_larger_is_used(tmp_path: Path) -> None:
    name = "02-01-03-01-01-01-01"
    write_video(tmp_path / "Actor_01" / f"{name}.mp4", 20, codec="mp4v")
    write_video(tmp_path / "Actor_01" / f"01{name[2:]}.mp4", 30, codec="mp4v")  # with sound: not compared
    write_video(tmp_path / "A_crops" / f"{name}.mp4", 20, size=(32, 24), codec="mp4v")
    sequences, skipped = read("ravdess", tmp_path)
    assert {name: s.source.parent.name for name, s in sequences.items()} == {name: "Actor_01"}
    assert set(skipped) == {"takes", f"A_crops/{name}.mp4"} and sequences[name].source.stem == name


def test_codes_and_actors_that_do_not_exist_are_left_out(tmp_path: Path) -> None:
    for actor, code in ((1, "01-03"), (1, "01-09"), (25, "01-03"), (0, "02-03")):
        ravdess_take(tmp_path, actor, code)
    ravdess_take(tmp_path, 7, "01-03", "03")  # sound only
    ravdess_take(tmp_path, 8, "03-03")
    for place in range(3):
        ravdess_take(tmp_path, 9, "01-03", take="-".join("03" if k == place else "01" for k in range(3)))
    ravdess_take(tmp_path, 10, "01-03", "04")
    assert list(databases.READERS["ravdess"].people(Release(tmp_path))) == ["Actor_01"]
    sequences, skipped = read("ravdess", tmp_path)
    assert len(sequences) == 1 and len(skipped) == 8
    assert skipped.pop("Actor_10/04-01-03-01-01-01-10.mp4") == "a video whose name is not seven numbers as in RAVDESS"
    assert all("actors are 01 to 24, emotions 01 to 08" in why for why in skipped.values())
