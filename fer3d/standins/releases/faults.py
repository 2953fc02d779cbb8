"""Faults of real copies: the quirks of a release's owner, of archivers and of users, and plain damage.

Not part of the paper: used by the stand-in databases. Works on a complete release. Every fault
is an addition (a damaged copy of a recording, a stray file) or a variant spelling, so a correct
reader still finds all of the ground truth, and something to leave out, which is returned.
"""

import re
import shutil
from pathlib import Path

import numpy as np

from fer3d.standins.releases.recording import ExpectedSkip

_STRAY = {
    ".DS_Store": b"\x00\x00\x00\x01Bud1\x00",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "desktop.ini": b"[.ShellClassInfo]\r\n",
}
_FORK = b"\x00\x05\x16\x07"
"""First bytes of a resource fork (``._name``)."""


def add_faults(database: str, root: Path, rng: np.random.Generator) -> list[ExpectedSkip]:
    """Add a database's typical faults to the intact release at ``root``. Returns what a reader must leave out."""
    skips = _FAULTS[database](root, rng)
    for folder in sorted(path for path in root.rglob("*") if path.is_dir()):
        if rng.random() < 0.2:
            name = str(rng.choice(list(_STRAY)))
            (folder / name).write_bytes(_STRAY[name])
    (root / ".DS_Store").write_bytes(_STRAY[".DS_Store"])
    _write(root / "__MACOSX" / "._Thumbs", _FORK)
    outside = root / "link to the disk"
    outside.symlink_to("/")
    return [*skips, ExpectedSkip(outside.name, "a link to a folder, out of the release")]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _nest(root: Path, name: str, *outer: str) -> Path:
    """Move a folder below new ones, as when an archive is unpacked into a folder of its name. Returns its new path."""
    aside = root / f".{name}.aside"
    (root / name).rename(aside)
    inside = root.joinpath(*outer)
    inside.mkdir(parents=True, exist_ok=True)
    return aside.rename(inside / name)


def _choose(rng: np.random.Generator, found: list[Path]) -> Path:
    return sorted(found)[int(rng.integers(len(found)))]


def _ckplus(root: Path, rng: np.random.Generator) -> list[ExpectedSkip]:
    images, emotion = root / "cohn-kanade-images", root / "Emotion"
    sequences = sorted(images.glob("*/*"))
    skips = []
    for number, label, why in (
        ("901", "   5.0000000e+00\n", "zero bytes"),
        ("902", "happy?\n", "not only numbers"),
        ("903", "   9.0000000e+00\n", "emotion code 9"),
        ("904", "   1.0000000e+00\n", "no images"),
    ):
        source = _choose(rng, sequences)
        subject, stem = source.parent.name, f"{source.parent.name}_{number}"
        for t, frame in enumerate([] if why == "no images" else sorted(source.glob("*.png"))[:3], start=1):
            _write(
                images / subject / number / f"{stem}_{t:08d}.png", b"" if why == "zero bytes" else frame.read_bytes()
            )
        _write(emotion / subject / number / f"{stem}_00000003_emotion.txt", label.encode())
        skips.append(ExpectedSkip(stem, why))
    for frame in sorted(_choose(rng, sequences).glob("*.png")):
        _write(frame.with_name(f"._{frame.name}"), _FORK)
        frame.rename(frame.with_suffix(".PNG"))
    label_file = _choose(rng, list(emotion.glob("*/00?/*_emotion.txt")))
    label_file.rename(label_file.with_name(label_file.name.upper()))
    for folder in sorted(emotion.glob("*/*")):
        if not any(folder.iterdir()) and rng.random() < 0.5:
            folder.rmdir()
    folder = _choose(rng, list(emotion.iterdir()))
    folder.rename(folder.with_name(folder.name.lower()))
    picture = next(_choose(rng, sequences).glob("*.[pP]*")).read_bytes()
    for name in ("anger", "contempt", "disgust"):
        _write(root / "CK+48" / name / "S010_004_00000017.png", picture)
    _write(root / "ckextended.csv", b"emotion,pixels,Usage\n6,36 39 35,Training\n")
    _nest(root, "cohn-kanade-images", "extended-cohn-kanade-images")
    _nest(root, "Emotion", "Emotion_labels")
    _nest(root, "FACS", "FACS_labels")
    _nest(root, "Landmarks", "Landmarks")
    return skips


def _mmi(root: Path, rng: np.random.Generator) -> list[ExpectedSkip]:
    sessions = root / "Sessions"
    usable = [path for path in sorted(sessions.iterdir()) if _is_usable(path)]
    free = max(int(path.name) for path in sessions.iterdir()) + 7
    skips = []
    reasons = ("images only", "not one frame", "not valid XML", "no metatags", "no Emotion tag", "emotion code '9'")
    for k, why in enumerate((*reasons, "profile view only", "no video")):
        copy = sessions / str(free + 3 * k)
        shutil.copytree(_choose(rng, usable), copy)
        video, tags, session = next(copy.glob("*.avi")), _tags(copy), copy / "session.xml"
        what = f"{copy.name}/{video.name}"
        if why == "images only":
            video.rename(video.with_suffix(".jpg"))
            what = copy.name
        elif why == "not one frame":
            video.write_bytes(video.read_bytes()[:40])
        elif why == "not valid XML":
            tags.write_text('<?xml version="1.0"?>\n<Metatags><Metatag Name="Emotion" Val')
        elif why == "no metatags":
            tags.unlink()
        elif why == "no Emotion tag":
            tags.write_text(tags.read_text().replace("Emotion", "Mood"))
        elif why == "emotion code '9'":
            tags.write_text(re.sub('"Emotion" Value="."', '"Emotion" Value="9"', tags.read_text()))
        elif why == "profile view only":
            session.write_text(re.sub('view="."', 'view="1"', session.read_text()))
        else:
            shutil.rmtree(copy)
            copy.mkdir()
            what = copy.name
        skips.append(ExpectedSkip(what, why))
    _mislabel_view(root, usable)
    for folder in usable:
        draw = rng.random()
        tags = _tags(folder)
        if draw < 0.25:
            tags.write_text(tags.read_text().replace("<Metatags>", '<Metatags xmlns="urn:mmi">'))
        elif draw < 0.5:
            tags.write_bytes(b"\xef\xbb\xbf" + tags.read_bytes())
    folder = _choose(rng, usable)
    for file in sorted(folder.iterdir()):
        file.rename(file.with_suffix(file.suffix.upper()))
    _nest(root, "Sessions", "mmi-facial-expression-database_download_2026-01-31_12_00_00")
    return skips


def _is_usable(session: Path) -> bool:
    emotion = re.search('"Emotion" Value="[1-6]"', _tags(session).read_text())
    return emotion is not None and 'view="1"' not in (session / "session.xml").read_text()


def _tags(session: Path) -> Path:
    return next(session.glob("S???-???.xml"))


def _mislabel_view(root: Path, sessions: list[Path]) -> None:
    """Declare a frontal session a profile, and add the user's file that corrects it."""
    texts = {folder: (folder / "session.xml").read_text() for folder in sessions}
    frontal = next((folder for folder, text in texts.items() if 'view="0"' in text), None)
    if frontal is None:
        return
    (frontal / "session.xml").write_text(texts[frontal].replace('view="0"', 'view="1"'))
    turn = 0 if re.match("S05[34]", _tags(frontal).name) else 90
    (root / "views.csv").write_text(f"session,rotation,half\n{frontal.name},{turn},\n")


def _fera(root: Path, rng: np.random.Generator) -> list[ExpectedSkip]:
    emotion = root / "emotion_training"
    folders = sorted(emotion.iterdir())
    skips = []
    for number, label, why in (
        ("901", "joy\n", "no video"),
        ("902", "fear\n", "not one frame"),
        ("903", "9\n", "emotion code 9"),
        ("904", "bored\n", "not only numbers"),
        ("905", "anger\n", "the actor is not known"),
    ):
        name = f"train_{number}"
        content = next(_choose(rng, folders).glob("*.avi")).read_bytes()
        if why != "no video":
            _write(emotion / name / f"{name}.avi", content[:40] if why == "not one frame" else content)
        _write(emotion / name / f"{name}-emotion.dat", label.encode())
        if why != "the actor is not known":
            with (root / "actors.csv").open("a") as table:
                table.write(f"{name},actor1,\n")
        skips.append(ExpectedSkip(name, why))
    for file in sorted(emotion.glob("*/train_[0-8]??-emotion.dat"))[::3]:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().upper().replace(b"\n", b"\r\n"))
    for video in sorted(_choose(rng, folders).glob("*.avi")):
        video.rename(video.with_suffix(".AVI"))
    for units in sorted(root.glob("au_training/*/*-au.dat"))[::2]:
        rows = [line.split() for line in units.read_text().splitlines()]
        units.write_text("".join(" ".join([*row[:-1], *["0"] * (64 - len(row) + 1), row[-1]]) + "\n" for row in rows))
    _nest(root, "emotion_training", "emotion_training")
    _nest(root, "au_training", "GEMEP_au_training")
    return skips


def _disfa(root: Path, rng: np.random.Generator) -> list[ExpectedSkip]:
    labels, left, right = root / "ActionUnit_Labels", root / "Videos_LeftCamera", root / "Video_RightCamera"
    subject = _choose(rng, list(labels.iterdir()))
    rows = 0
    for file in sorted(subject.iterdir()):
        lines = file.read_text().splitlines()
        rows = len(lines) + 1
        file.write_text("\n".join([*lines, f"{rows},{lines[-1].split(',')[1]}"]) + "\n")
    for file in sorted(_choose(rng, list(labels.iterdir())).iterdir()):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    for number in ("014", "015"):  # numbers that the original does not use
        for file in sorted(subject.iterdir()):
            _write(labels / f"SN{number}" / file.name.replace(subject.name, f"SN{number}"), file.read_bytes())
    _write(left / "LeftVideoSN015_comp.avi", b"")
    for video in sorted(left.iterdir())[1::2]:
        video.rename(left / video.name.replace("_comp", "_Comp"))
    for video in sorted(right.iterdir())[1:]:
        (root / "videos_rightcamera").mkdir(exist_ok=True)
        video.rename(root / "videos_rightcamera" / video.name.replace("_Comp", "_comp"))
    points = root / "Landmark_Points" / subject.name / "tmp_frame_lm"
    for name in ("l00001_lm.mat", f"{subject.name}_0000_lm.mat"):
        _write(points / name, b"MATLAB 5.0 MAT-file")
    _write(root / "DISFA+" / "Images" / subject.name / "A1_AU1_TrailNo_1" / "00000.jpg", b"\xff\xd8\xff\xd9")
    longer = next(file.name for file in left.iterdir() if subject.name in file.name)
    _nest(root, "ActionUnit_Labels", "ActionUnit_Labels")
    return [
        ExpectedSkip(f"{left.name}/{longer}", f"{rows} label rows for {rows - 1} frames"),
        ExpectedSkip("SN014_left", "no video of the left camera"),
        ExpectedSkip("SN015_left", "zero bytes"),
    ]


_FAULTS = {"ckplus": _ckplus, "mmi": _mmi, "fera": _fera, "disfa": _disfa}
