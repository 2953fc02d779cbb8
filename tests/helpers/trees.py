"""Miniature releases for the readers' tests: noise for faces, the owners' layout round it."""

import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fer3d.config import ClipSettings
from fer3d.data import databases
from fer3d.data.databases import Sequence, Skipped


def read(
    database: str, root: Path, settings: ClipSettings = databases.PAPER_SETTINGS
) -> tuple[dict[str, Sequence], dict[str, str]]:
    """The sequences of a release by their names, and the reasons by what was left out."""
    found = list(databases.scan(database, root, settings))
    return (
        {s.name: s for s in found if isinstance(s, Sequence)},
        {s.what: s.why for s in found if isinstance(s, Skipped)},
    )


def write_image(
    path: Path, shape: tuple[int, ...] = (12, 16), seed: int = 0, picture: np.ndarray | None = None
) -> Path:
    """The picture, or one of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if picture is None:
        picture = np.random.default_rng(seed).integers(0, 255, shape, np.uint8)
    Image.fromarray(picture).save(path, compress_level=1)
    return path


def write_video(path: Path, frames: int = 3, size: tuple[int, int] = (64, 48), codec: str = "MJPG") -> Path:
    """A video of grey frames, brighter and brighter, with a mark that its name decides; ``size`` is (W, H)."""
    mark = zlib.crc32(path.stem.encode())
    left = mark % max(size[0] - 8, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, size)
    for number in range(frames):
        picture = np.full((size[1], size[0], 3), min(20 + 10 * number, 250), np.uint8)
        picture[:8, left : left + 8] = mark // 2**16 % 250
        writer.write(picture)
    writer.release()
    return path


def write_text(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def ckplus_sequence(
    root: Path,
    subject: str,
    number: str,
    frames: int | list[np.ndarray],
    emotion: int | None = None,
    shape: tuple[int, ...] = (12, 16),
    images: str = "cohn-kanade-images",
    labels: str = "Emotion",
    facs: str | None = None,
) -> Path:
    """One CK+ sequence of the given frames, or of that many of noise; returns its folder of images."""
    stem = f"{subject}_{number}"
    folder = root / images / subject / number
    pictures = [None] * frames if isinstance(frames, int) else frames
    for frame, picture in enumerate(pictures, start=1):
        write_image(folder / f"{stem}_{frame:08d}.png", shape, frame, picture)
    if emotion is not None:
        write_text(root / labels / subject / number / f"{stem}_{len(pictures):08d}_emotion.txt", f"   {emotion:.7e}\n")
    if facs is not None:
        write_text(root / "FACS" / subject / number / f"{stem}_{len(pictures):08d}_facs.txt", facs)
    return folder


def mmi_session(
    root: Path,
    session: int,
    stem: str,
    emotion: int | str | None = 1,
    view: int | None = 0,
    size: tuple[int, int] = (72, 58),
    namespace: str = "",
) -> Path:
    """One MMI session with a video; returns its folder."""
    folder = root / "Sessions" / str(session)
    write_video(folder / f"{stem}.avi", size=size)
    tags = "" if emotion is None else f'<Metatag Name="Emotion" Value="{emotion}"/>'
    write_text(
        folder / f"{stem}.xml",
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Data{namespace}><Metatag Name="Note" Value="9"/>{tags}</Data>\n',
    )
    if view is not None:
        write_text(
            folder / "session.xml",
            f'<session><subject id="{stem[1:4]}"/>'
            f'<track view="{view}"><annotation filename="{stem}-oao_aucs.xml"/></track></session>',
        )
    return folder


def disfa_subject(
    root: Path,
    subject: str,
    rows: list[dict[int, int]],
    frames: int | None = None,
    cameras: tuple[str, ...] = ("Videos_LeftCamera/LeftVideo{}_comp.avi", "Video_RightCamera/RightVideo{}_Comp.avi"),
    labels: str = "ActionUnit_Labels",
) -> None:
    """One DISFA subject: for each frame the intensities of the units that are not 0."""
    for camera in cameras:
        write_video(root / camera.format(subject), frames=len(rows) if frames is None else frames)
    for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26):
        lines = [f"{frame},{row.get(unit, 0)}\n" for frame, row in enumerate(rows, start=1)]
        write_text(root / labels / subject / f"{subject}_au{unit}.txt", "".join(lines))


def fera_sequence(
    root: Path, folder: str, name: str, label: str | None = None, units: list[list[int | str]] | None = None
) -> Path:
    """One FERA sequence with its label file or its action units (columns 1 .. 46 and speech)."""
    write_video(root / folder / name / f"{name}.avi")
    if label is not None:
        write_text(root / folder / name / f"{name}-emotion.dat", label)
    if units is not None:
        rows = [" ".join(str(int(unit in row)) for unit in (*range(1, 47), "speech")) for row in units]
        write_text(root / folder / name / f"{name}-au.dat", "\n".join(rows) + "\n")
    return root / folder / name


def ravdess_take(root: Path, actor: int, code: str, modality: str = "02", take: str = "01-01-01") -> Path:
    """One RAVDESS recording: its channel and emotion as ``01-03``, its intensity, statement and repetition."""
    channel, emotion = code.split("-")
    name = f"{modality}-{channel}-{emotion}-{take}-{actor:02d}.mp4"
    return write_video(root / f"Actor_{actor:02d}" / name, codec="mp4v")


def cremad_clip(root: Path, name: str, folder: str = "VideoFlash") -> Path:
    return write_video(root / folder / f"{name}.flv", codec="\2\0\0\0")


LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'5' * 64}\nsize 414429\n"


def build_ckplus(root: Path) -> None:
    for number, subject in enumerate(("S005", "S010", "S999"), start=1):
        ckplus_sequence(root, subject, "001", 3, number, shape=(48, 64), facs="   1.0   2.0\n")


def build_mmi(root: Path) -> None:
    for session, stem in ((2, "S001-002"), (224, "S002-106"), (1767, "S028-001")):
        folder = mmi_session(root, session, stem, view=0)
        write_text(folder / f"{stem}-oao_aucs.xml", '<D><ActionUnit Number="12"/></D>')


def build_disfa(root: Path) -> None:
    for subject in ("SN001", "SN010", "SN032"):
        disfa_subject(root, subject, [{}, {12: 2}, {1: 1, 2: 1}], cameras=("Videos_LeftCamera/LeftVideo{}_comp.avi",))


def build_fera(root: Path) -> None:
    for number in (1, 20, 87):
        fera_sequence(root, "au_training", f"train_{number:03d}", units=[[1], [12], []])
    for number, word in ((101, "joy"), (102, "fear")):
        fera_sequence(root, "training", f"train_{number}", label=word)
    write_text(root / "actors.csv", "sequence,subject,emotion\ntrain_101,a,\ntrain_102,b,\n")


def build_ravdess(root: Path) -> None:
    for actor, code in ((1, "01-03"), (2, "02-02"), (24, "01-08")):
        ravdess_take(root, actor, code)


def build_cremad(root: Path) -> None:
    for name in ("1001_DFA_ANG_XX", "1002_IEO_HAP_HI", "1091_WSI_NEU_XX"):
        cremad_clip(root, name)


def build_table(root: Path) -> None:
    write_video(root / "Anna.avi", frames=30)
    write_video(root / "more" / "ben.mp4", codec="mp4v")
    write_image(root / "stills" / "2.png", (48, 64))
    write_image(root / "stills" / "10.png", (48, 64))
    lines = ("path,label,subject,start,end", "Anna.avi,happy,anna,0.2,0.6", "Anna.avi,bored,anna,0.6,")
    lines += ("more/ben.mp4,Anger,ben,,", "stills,neutral,carla,,", "*,bored,,,")
    write_text(root / "labels.csv", "\n".join(lines) + "\n")


BUILD = {
    "ckplus": build_ckplus,
    "mmi": build_mmi,
    "disfa": build_disfa,
    "fera": build_fera,
    "ravdess": build_ravdess,
    "cremad": build_cremad,
    "table": build_table,
}
"""Small sound releases of each database."""
