"""What a file of a recording is, by its first bytes and not by its name, and what to type where it is not read."""

import os
import shlex
import stat
from pathlib import Path

from fer3d.errors import printable

MAX_PIXELS = 2**24
"""Pixels in one image or frame (4096 x 4096)."""
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
VIDEO_SUFFIXES = frozenset(
    {".avi", ".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".flv", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".asf", ".ogv", ".ogg", ".gif", ".mxf", ".ivf", ".nut", ".y4m"}
)

IMAGE_FORMATS = ("PNG", "JPEG", "BMP")
PICTURES = tuple(f"a {name} picture" for name in IMAGE_FORMATS)
_TS = 188
"""Bytes of a packet of MPEG-TS; camcorders put four more in front of each."""
FLASH = "a Flash video"
_VIDEOS = (
    (8, b"AVI", "an AVI video"),
    (4, b"ftyp", "an MPEG-4 or QuickTime video"),
    (4, b"moov", "a QuickTime video"),
    (4, b"mdat", "a QuickTime video"),
    (4, b"wide", "a QuickTime video"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"FLV", FLASH),
    (0, b"\x00\x00\x01\xba", "an MPEG video"),
    (0, b"\x00\x00\x01\xb3", "an MPEG video"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a Windows Media video"),
    (0, b"OggS", "an Ogg video"),
    (0, b"GIF8", "a GIF animation"),
    (0, b"\x06\x0e+4", "an MXF video"),
    (0, b"DKIF", "an IVF video"),
    (0, b"nut/", "a NUT video"),
    (0, b"YUV4MPEG2", "a YUV4MPEG video"),
)
"""The containers that are opened: offset and bytes of the signature, name. (MPEG-TS has a repeated one.) FFmpeg
would also open playlists and scripts."""
_OTHERS = (
    (4, b"ftypheic", "a HEIF picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftypM4A", "an MPEG-4 sound"),
    (0, b".RMF", "a RealMedia video"),
    (0, b"\x1f\x07\x00", "a DV video"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (8, b"WEBP", "a WebP picture"),
    (8, b"WAVE", "a WAV sound"),
    (0, b"ID3", "an MP3 sound"),
    (0, b"fLaC", "a FLAC sound"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"#EXTM3U", "a playlist"),
    (0, b"version https://git-lfs", "a pointer of git LFS"),
)
"""What is refused by its name."""
TRANSPORT, UNKNOWN = "an MPEG transport stream", "a file of an unknown kind"


class UnusableFile(Exception):
    """A recording or a file that cannot be used: ``why``, which ``file`` is at fault, and what would help."""

    def __init__(self, why: str, file: str = "", remedy: str = "a new copy of the file") -> None:
        super().__init__(printable(why), printable(file), remedy)
        self.why, self.file, self.remedy = self.args

    def __str__(self) -> str:
        return f"{self.file}: {self.why}" if self.file else self.why


class VideoError(UnusableFile):
    """An image or a video that cannot be used."""


def kind_of(path: Path) -> str:
    """What a file is by its first bytes, as "an AVI video"; `VideoError` where it cannot be opened."""
    try:
        with path.open("rb") as file:
            head = file.read(3 * (_TS + 4))
    except OSError as error:
        raise VideoError(str(error.strerror), path.name) from error
    for at, signature, kind in (*_OTHERS, *_VIDEOS):
        if head[at : at + len(signature)] == signature:
            return kind
    if any(head[first::packet].strip(b"G") == b"" and len(head) > packet for first, packet in ((0, _TS), (4, _TS + 4))):
        return TRANSPORT
    text = head.isascii() and all(character.isprintable() or character in "\t\r\n" for character in head.decode())
    return "a text file" if text else UNKNOWN


def is_video(kind: str) -> bool:
    """Whether `kind_of` names a container that is opened."""
    return kind == TRANSPORT or any(kind == name for _, _, name in _VIDEOS)


def conversion(path: Path) -> str:
    """What to type to make a video readable."""
    given, stem = printable(path.name), printable(path.stem)
    out = f"{stem}_converted.mp4" if path.suffix.lower() == ".mp4" else f"{stem}.mp4"  # ffmpeg refuses its own input
    return f"ffmpeg -i {shlex.quote(given)} -c:v libx264 -pix_fmt yuv420p {shlex.quote(out)}"


def status_of(path: Path) -> os.stat_result:
    """The state of a regular file that is not empty, else `VideoError`; a pipe or a device would never end."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise VideoError(str(getattr(error, "strerror", error)), path.name) from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError("not a file", path.name)
    if not status.st_size:
        raise VideoError("zero bytes", path.name)
    return status


def first_line(error: Exception) -> str:
    """What a decoder's error says, at most 120 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
