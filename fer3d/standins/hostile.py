"""What real copies of a release suffer: the quirks of its owner, of archivers and of users, and plain faults.

Not part of the paper: it serves the stand-in databases. Works on a release that is
complete. Every fault is an addition (a broken copy of a sound recording, a stray file) or
another spelling of what is there, so that a sound reader finds exactly what the
generator meant, and something to skip.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

_STRAY = {
    ".DS_Store": b"\x00\x00\x00\x01Bud1\x00",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "desktop.ini": b"[.ShellClassInfo]\r\n",
}


def spoil(database: str, root: Path, rng: np.random.Generator) -> None:
    """Add the quirks and faults of a database's copies to the sound release at ``root``."""
    _SPOIL[database](root, rng)
    for folder in sorted(path for path in root.rglob("*") if path.is_dir()):
        if rng.random() < 0.2:
            name = str(rng.choice(list(_STRAY)))
            (folder / name).write_bytes(_STRAY[name])
    (root / ".DS_Store").write_bytes(_STRAY[".DS_Store"])
    resource_fork = root / "__MACOSX" / "._Thumbs"
    resource_fork.parent.mkdir()
    resource_fork.write_bytes(b"\x00\x05\x16\x07")


def _nest(root: Path, name: str, *outer: str) -> Path:
    """Put a folder below new ones: an archive unpacked into a folder of its own name. Returns where it is now."""
    aside = root / f".{name}.aside"
    (root / name).rename(aside)
    inside = root.joinpath(*outer)
    inside.mkdir(parents=True, exist_ok=True)
    return aside.rename(inside / name)


def _some(rng: np.random.Generator, found: list[Path]) -> Path:
    return sorted(found)[int(rng.integers(len(found)))]


def _ckplus(root: Path, rng: np.random.Generator) -> None:
    images = root / "cohn-kanade-images"
    sequences = [path for path in images.glob("*/*") if len(list(path.iterdir())) >= 3]
    for number, fault in (("901", "empty pictures"), ("902", "no number"), ("903", "unknown code")):
        source = _some(rng, sequences)
        subject = source.parent.name
        copy = images / subject / number
        copy.mkdir(exist_ok=True)
        frames = sorted(source.glob("*.png"))[:3]
        for t, frame in enumerate(frames, start=1):
            target = copy / f"{subject}_{number}_{t:08d}.png"
            if fault == "empty pictures":
                target.touch()
            else:
                shutil.copyfile(frame, target)
        label = root / "Emotion" / subject / number / f"{subject}_{number}_{len(frames):08d}_emotion.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(
            {"no number": "happy?\n", "unknown code": "   9.0000000e+00\n"}.get(fault, "   5.0000000e+00\n")
        )
    for frame in sorted(_some(rng, [p for p in sequences if p.name < "900"]).glob("*.png")):
        frame.rename(frame.with_suffix(".PNG"))
    for folder in (root / "Emotion").glob("*/*"):
        if not any(folder.iterdir()) and rng.random() < 0.5:
            folder.rmdir()
    _nest(root, "cohn-kanade-images", "extended-cohn-kanade-images")
    _nest(root, "Emotion", "Emotion_labels")
    _nest(root, "FACS", "FACS_labels")
    _nest(root, "Landmarks", "Landmarks")


def _mmi(root: Path, rng: np.random.Generator) -> None:
    sessions = root / "Sessions"
    sound = sorted(sessions.iterdir())
    free = max(int(path.name) for path in sound) + 7
    for k, fault in enumerate(("still", "broken video", "broken tags", "no files")):
        source, copy = _some(rng, sound), sessions / str(free + 3 * k)
        if fault == "no files":
            copy.mkdir()
            continue
        shutil.copytree(source, copy)
        video = next(copy.glob("*.avi"))
        if fault == "still":
            video.unlink()
            (copy / f"{video.stem}.jpg").write_bytes(b"\xff\xd8\xff\xd9")
        elif fault == "broken video":
            video.write_bytes(video.read_bytes()[:40])
        else:
            (copy / f"{video.stem}.xml").write_text('<?xml version="1.0"?>\n<Metatags><Metatag Name="Emotion" Val')
    for folder in sound:
        for tags in folder.glob("S???-???.xml"):
            draw = rng.random()
            if draw < 0.25:
                tags.write_text(tags.read_text().replace("<Metatags>", '<Metatags xmlns="urn:mmi">'))
            elif draw < 0.5:
                tags.write_bytes(b"\xef\xbb\xbf" + tags.read_bytes())
    for video in sorted(_some(rng, sound).glob("*.avi")):
        video.rename(video.with_suffix(".AVI"))
    _nest(root, "Sessions", "mmi-facial-expression-database_download_2026-01-31_12_00_00")


def _fera(root: Path, rng: np.random.Generator) -> None:
    emotion = root / "emotion_training"
    sound = sorted(emotion.iterdir())
    lost = emotion / "train_901"
    lost.mkdir()
    (lost / "train_901-emotion.dat").write_text("joy\n")
    broken = emotion / "train_902"
    broken.mkdir()
    (broken / "train_902.avi").write_bytes(b"RIFF")
    (broken / "train_902-emotion.dat").write_text("fear\n")
    unlabelled = root / "test" / "test" / "test_001"
    unlabelled.mkdir(parents=True)
    shutil.copyfile(next(_some(rng, sound).glob("*.avi")), unlabelled / "test_001.avi")
    for label in sorted(emotion.glob("*/*-emotion.dat"))[::3]:
        label.write_bytes(b"\xef\xbb\xbf" + label.read_bytes().upper().replace(b"\n", b"\r\n"))
    for video in sorted(_some(rng, sound).glob("*.avi")):
        video.rename(video.with_suffix(".AVI"))
    for units in sorted(root.glob("au_training/*/*-au.dat"))[::2]:
        rows = [line.split() for line in units.read_text().splitlines()]
        units.write_text("".join(" ".join([*row[:-1], *["0"] * (64 - len(row) + 1), row[-1]]) + "\n" for row in rows))
    _nest(root, "emotion_training", "emotion_training")
    _nest(root, "au_training", "GEMEP_au_training")


def _disfa(root: Path, rng: np.random.Generator) -> None:
    labels = root / "ActionUnit_Labels"
    subject = _some(rng, list(labels.iterdir()))
    for file in sorted(subject.iterdir()):  # one row more than the video has frames
        rows = file.read_text().splitlines()
        file.write_text("\n".join([*rows, f"{len(rows) + 1},{rows[-1].split(',')[1]}"]) + "\n")
    for file in sorted(_some(rng, list(labels.iterdir())).iterdir()):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    shutil.copytree(subject, labels / "SN014")
    for file in sorted((labels / "SN014").iterdir()):
        file.rename(file.with_name(file.name.replace(subject.name, "SN014")))
    left = root / "Videos_LeftCamera"
    for video in sorted(left.iterdir())[1::2]:
        video.rename(left / video.name.replace("_comp", "_Comp"))
    (left / "LeftVideoSN015_comp.avi").write_bytes(b"")
    (root / "Video_RightCamera").rename(root / "videos_rightcamera")
    _nest(root, "ActionUnit_Labels", "ActionUnit_Labels")


_SPOIL: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "ckplus": _ckplus,
    "mmi": _mmi,
    "fera": _fera,
    "disfa": _disfa,
}
