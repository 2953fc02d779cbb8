"""CREMA-D: names of four parts, faulty clips left out by name, git-LFS pointers recognised."""

import shutil
from pathlib import Path

import pytest
from trees import LFS_POINTER, cremad_clip, read, write_text, write_video

from fer3d.data import databases
from fer3d.data.databases import Skipped
from fer3d.data.databases.release import Release


def test_actor_and_emotion_are_in_the_name(tmp_path: Path) -> None:
    codes = {
        "ANG": "anger",
        "DIS": "disgust",
        "FEA": "fear",
        "HAP": "happiness",
        "NEU": "neutral",
        "SAD": "sadness",
    }
    for code in codes:
        cremad_clip(tmp_path, f"1001_DFA_{code}_XX")
    write_text(tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav", "RIFF")
    sequences, skipped = read("cremad", tmp_path)
    assert [(s.subject, s.label) for s in sequences.values()] == [("1001", label) for label in codes.values()]
    assert skipped == {}


def test_the_owners_faulty_clips_are_left_out_by_name(tmp_path: Path) -> None:
    faulty = ("1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX")
    for name in (*faulty, "1064_IEO_DIS_HI"):
        cremad_clip(tmp_path, name)
    assert list(databases.READERS["cremad"].people(Release(tmp_path))) == ["1064"], "1076 has faulty clips only"
    sequences, skipped = read("cremad", tmp_path)
    assert list(sequences) == ["1064_IEO_DIS_HI"] and tuple(skipped) == faulty
    assert all(why.startswith("faulty in the release: ") for why in skipped.values())


def test_a_clip_under_a_second_name_is_left_out(tmp_path: Path) -> None:
    """A copy with a wrong name has a wrong label, or its person would be in two folds."""
    original = cremad_clip(tmp_path, "1001_DFA_ANG_XX")
    for name in ("1001_DFA_HAP_XX", "1002_DFA_ANG_XX"):
        shutil.copy(original, original.with_stem(name))
    sequences, skipped = read("cremad", tmp_path)
    assert list(sequences) == ["1001_DFA_ANG_XX"]
    why = "the same file as 1001_DFA_ANG_XX, with another name"
    assert skipped == {"1001_DFA_HAP_XX": why, "1002_DFA_ANG_XX": why}


def test_a_pointer_of_git_lfs_says_what_to_do(tmp_path: Path) -> None:
    cremad_clip(tmp_path, "1001_DFA_ANG_XX")
    write_text(tmp_path / "VideoFlash" / "1002_DFA_ANG_XX.flv", LFS_POINTER)
    (left_out,) = (entry for entry in databases.scan("cremad", tmp_path) if isinstance(entry, Skipped))
    assert left_out.what == "1002_DFA_ANG_XX" and left_out.file == "1002_DFA_ANG_XX.flv"
    assert left_out.why == "a pointer of git LFS, not a video that is read" and left_out.remedy == "git lfs pull"


def test_a_converted_copy_counts_once_and_serves_where_the_original_is_a_pointer(tmp_path: Path) -> None:
    write_text(tmp_path / "VideoFlash" / "1001_DFA_ANG_XX.flv", LFS_POINTER)
    write_video(tmp_path / "VideoMP4" / "1001_DFA_ANG_XX.mp4", codec="mp4v")
    sequences, skipped = read("cremad", tmp_path)
    assert sequences["1001_DFA_ANG_XX"].source.suffix == ".mp4"
    assert skipped == {
        "clips": "1 repeated: a second copy",
        "VideoFlash/1001_DFA_ANG_XX.flv": "another recording of this name; VideoMP4/1001_DFA_ANG_XX.mp4 is used",
    }


def test_of_several_copies_the_fuller_and_larger_is_used(tmp_path: Path) -> None:
    """Own crops, or a copy that breaks off, come before the original in the order of names."""
    original = write_video(tmp_path / "VideoFlash" / "1001_DFA_ANG_XX.mp4", 20, codec="mp4v")
    write_video(tmp_path / "Crops" / "1001_DFA_ANG_XX.mp4", 20, size=(32, 24), codec="mp4v")
    write_video(tmp_path / "Again" / "1001_DFA_ANG_XX.avi", 8)
    (tmp_path / "Copy").mkdir()
    shutil.copy(original, tmp_path / "Copy")
    sequences, skipped = read("cremad", tmp_path)
    (sequence,) = sequences.values()
    assert sequence.source.read_bytes() == original.read_bytes()
    assert set(skipped) == {"clips", "Crops/1001_DFA_ANG_XX.mp4", "Again/1001_DFA_ANG_XX.avi"}


@pytest.mark.parametrize("name", ["1092_DFA_ANG_XX", "1000_DFA_ANG_XX", "1001_DFA_SUR_XX"])
def test_actors_and_emotions_that_do_not_exist_are_left_out(name: str, tmp_path: Path) -> None:
    cremad_clip(tmp_path, name)
    sequences, skipped = read("cremad", tmp_path)
    assert not sequences and "is not one of" in skipped[name]
