"""Releases are written completely or not at all, as the same bytes each time, and keep the originals' proportions."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fer3d import files, standins
from fer3d.errors import InputError
from fer3d.standins.releases import ckplus, cremad, mmi, ravdess

Digest = Callable[[Path], str]


def test_a_killed_run_resumes_to_the_same_bytes_with_any_number_of_workers(tmp_path: Path, digest: Digest) -> None:
    code = "import pathlib, fer3d.standins as s; s.write('ckplus', pathlib.Path('{}'), 2, seed=2, workers=1)"
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    finished = tmp_path / "killed.truth" / "subjects"
    with subprocess.Popen([sys.executable, "-c", code.format(killed)]) as process:
        while not list(finished.glob("*.json")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not killed.exists()
    first = next(finished.glob("*.json"))
    before = first.stat().st_mtime_ns
    standins.write("ckplus", killed, 2, seed=2, workers=1)
    standins.write("ckplus", whole, 2, seed=2, workers=2)
    assert first.stat().st_mtime_ns == before, "a finished subject was rendered again"
    assert digest(killed) == digest(whole) and digest(finished) == digest(tmp_path / "whole.truth" / "subjects")


def test_a_finished_release_and_a_foreign_folder_are_left_alone(tmp_path: Path) -> None:
    release, foreign = tmp_path / "ckplus", tmp_path / "foreign"
    standins.write("ckplus", release, subjects=1, seed=5, workers=1)
    image = next(release.rglob("*.png"))
    before = image.stat().st_mtime_ns
    standins.write("ckplus", release, subjects=1, seed=5, workers=1)
    assert image.stat().st_mtime_ns == before
    foreign.mkdir()
    (foreign / "mine.txt").write_text("precious")
    with pytest.raises(
        InputError, match=r"foreign holds mine\.txt: expected a new or empty folder, or a stand-in of CK"
    ):
        standins.write("ckplus", foreign, subjects=1)
    assert (foreign / "mine.txt").read_text() == "precious"
    (tmp_path / "new.truth").mkdir()
    (tmp_path / "new.truth" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match=r"new\.truth holds mine\.txt"):
        standins.write("ckplus", tmp_path / "new", subjects=1)
    assert (tmp_path / "new.truth" / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("mine", ["notes.txt", "Emotion/S001/notes.txt", "run/model.json"])
def test_a_stand_in_with_other_files_in_it_is_not_replaced(mine: str, listed: bool, tmp_path: Path) -> None:
    """``listed``: as the present version leaves it, or one that kept no list of its files."""
    release = finished_release(tmp_path, listed)
    files.write_text(release / mine, "years of work")
    with pytest.raises(InputError, match=f"holds {mine}: expected a new or empty folder, or a stand-in of CK"):
        standins.write("ckplus", release, subjects=1, seed=6, workers=1)
    with pytest.raises(InputError, match="or a stand-in of MMI alone; try another --out"):
        standins.write("mmi", release, subjects=1, recordings=1, workers=1)
    assert (release / mine).read_text() == "years of work" and (release / "Emotion").exists()


@pytest.mark.parametrize("listed", [True, False])
def test_a_stale_stand_in_is_made_anew(listed: bool, tmp_path: Path, digest: Digest) -> None:
    release = finished_release(tmp_path, listed)
    files.write_text(release / ".DS_Store", "looked at")
    standins.write("ckplus", release, subjects=1, seed=6, workers=1)
    standins.write("ckplus", tmp_path / "other", subjects=1, seed=6, workers=1)
    assert digest(release) == digest(tmp_path / "other")
    shutil.rmtree(release)
    assert standins.write("mmi", release, subjects=1, recordings=1, workers=1)["database"] == "mmi", "nothing is lost"


def finished_release(folder: Path, listed: bool) -> Path:
    """A stand-in of CK+."""
    standins.write("ckplus", folder / "release", subjects=1, seed=5, workers=1)
    if not listed:
        (folder / "release.truth" / "files.json").unlink(missing_ok=True)
        os.utime(folder / "release.truth" / "counts.json", (time.time() - 1, time.time() - 1))
        for file in (folder / "release").rglob("*"):
            os.utime(file, (time.time() - 2, time.time() - 2))
    return folder / "release"


@pytest.mark.parametrize("subjects", [1, 12, 60, 118])
def test_ckplus_keeps_the_class_imbalance(subjects: int) -> None:
    plans = ckplus.plan(subjects, 0, 3)
    assert len({plan.subject for plan in plans}) == subjects
    labels = [sequence.emotion for plan in plans for sequence in plan.recordings if sequence.labelled]
    for name, count in ckplus.PUBLISHED.items():
        assert labels.count(name) == max(1, round(count * subjects / 118))


def test_mmi_has_every_view_and_no_session_number_twice() -> None:
    plans = mmi.plan(20, 0, 6)
    assert {plan.view for plan in plans} == {mmi.LYING, mmi.UPRIGHT, mmi.DUAL, mmi.PROFILE}
    numbers = [session.number for plan in plans for session in plan.recordings]
    assert len(set(numbers)) == len(numbers)


def test_ravdess_has_no_strong_neutral_and_no_song_of_disgust_surprise_or_actor_18() -> None:
    plans = ravdess.plan(24, 0, 32)
    names = [take.stem(2, plan.number + 1) for plan in plans for take in plan.recordings]
    assert len(set(names)) == len(names) == 24 * 32
    for actor, take in ((plan.number + 1, take) for plan in plans for take in plan.recordings):
        assert not (take.emotion == "01" and take.intensity == 2)
        assert take.channel == 1 or (take.emotion not in ("07", "08") and actor != 18)


def test_cremad_has_levels_for_one_sentence_only_and_its_faulty_clips() -> None:
    plans = cremad.plan(91, 0, 72)
    clips = {clip.stem(plan.subject): clip for plan in plans for clip in plan.recordings}
    assert len(clips) == sum(len(plan.recordings) for plan in plans) >= 91 * 72
    assert all((clip.level != "XX") == (clip.sentence == "IEO") for clip in clips.values())
    assert {name for name, clip in clips.items() if clip.faulty} == {"1064_IEO_DIS_MD", "1076_MTI_SAD_XX"}


@pytest.mark.parametrize(
    ("database", "amounts", "message"),
    [
        ("ckplus", {"subjects": 0}, "0 subjects requested: expected at least 1"),
        ("mmi", {"subjects": 1, "recordings": 0}, "0 recordings requested: expected at least 1"),
        ("fer2013", {"subjects": 1}, "ckplus"),
        ("table", {"subjects": 1}, "own videos have no stand-in"),
    ],
)
def test_bad_arguments_are_refused(database: str, amounts: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        standins.write(database, Path("nowhere"), **amounts)
