"""Downloads of the two open databases by pooch: RAVDESS from Zenodo, CREMA-D from its repository or its mirror.

Every file is checked against its owner's own checksum, read at the time: of an archive of RAVDESS the MD5 in Zenodo's
record (https://developers.zenodo.org), of a clip of CREMA-D the SHA-256 in the repository's git-LFS pointer. A
transfer that breaks off is resumed, in the same call and in the next one.

What a server sends is not trusted: its length is bounded, an archive may hold nothing outside its folder and no more
than its own size suggests, and only files with the names of the database are unpacked. The folder holds whole files
only, and ``.download``, which is removed at the end.
"""

import contextlib
import dataclasses
import re
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pooch
import requests
from tqdm import tqdm

from fer3d import files
from fer3d.data.databases import cremad, ravdess
from fer3d.errors import InputError, printable

ZENODO = "https://zenodo.org"
GITHUB = "https://github.com/CheyneyComputerScience/CREMA-D"
CLIPS = (
    "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master/VideoFlash/",
    "https://gitlab.com/cs-cooper-lab/crema-d-mirror/-/raw/main/VideoFlash/",
)
"""Where the clips of CREMA-D lie: the repository, whose monthly quota may be used up, and the owners' mirror."""
RECORD = "1188976"
TIMEOUT = 30.0
"""Seconds without one byte after which a connection counts as broken."""
ATTEMPTS = 5
"""Broken connections in a row, each without one new byte, after which a download ends."""
PAUSE = 1.0
"""Seconds before the second attempt; doubled before each further one."""
MAX_ARCHIVE = 2**31
MAX_LISTING = 2**27
"""Bytes of one archive, and of Zenodo's record or the repository without its clips."""

_CHUNK = 2**15
"""Bytes that a broken connection may cost."""
_POINTER = re.compile(rb"version https://git-lfs\S+\noid sha256:([0-9a-f]{64})\nsize (\d{1,9})\n")
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
    ValueError,
    struct.error,
)
"""What an archive that is damaged, encrypted or of an unknown kind raises."""
_MAX_MEMBERS = 50_000
_MAX_EXPANSION = 4
"""Bytes that an archive's videos may expand to, as a multiple of its own: videos hardly shrink."""


@dataclass(frozen=True)
class Licence:
    """What a user acknowledges before the download."""

    title: str
    name: str
    url: str
    terms: str
    cite: str

    def __str__(self) -> str:
        return f"{self.title} is licensed under {self.name} ({self.url}): {self.terms}\nPlease cite {self.cite}"


LICENCES: Final[Mapping[str, Licence]] = {
    "ravdess": Licence(
        "RAVDESS",
        "CC BY-NC-SA 4.0",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "name the authors, no commercial use, share what you derive under the same licence.",
        "Livingstone & Russo 2018, PLoS ONE 13(5): e0196391, https://doi.org/10.1371/journal.pone.0196391",
    ),
    "cremad": Licence(
        "CREMA-D",
        "ODbL 1.0, its contents under DbCL 1.0",
        "https://opendatacommons.org/licenses/odbl/1-0/",
        "name the source, share a derived database under the same licence.",
        "Cao et al. 2014, IEEE Transactions on Affective Computing 5(4), https://doi.org/10.1109/TAFFC.2014.2336244",
    ),
}


@dataclass(frozen=True)
class Remote:
    """One file to fetch."""

    name: str
    url: str
    size: int
    """Bytes."""
    checksum: str
    """``md5:`` or ``sha256:`` and the digest."""


def download(
    database: str, out: Path | str, actors: Collection[int] | None = None, songs: bool = False
) -> dict[str, Any]:
    """Fetch the videos of an open database into a folder that its reader takes. Killed and called again, it resumes.

    Args:
        database: a name of `LICENCES`.
        out: the folder of the release.
        actors: their numbers from 1 (24 in RAVDESS, 91 in CREMA-D); None: all.
        songs: of RAVDESS also what is sung.

    Returns:
        ``{"database", "folder", "files", "bytes"}``: the number of files fetched by this call, and their bytes.

    Raises:
        InputError: an unknown database or actor, too little space, a server that fails or sends something else.
    """
    if database not in LICENCES:
        raise InputError(f"{database!r} cannot be downloaded: expected ravdess or crema-d", "fer3d download ravdess")
    everyone = range(1, 1 + len(ravdess.ACTORS if database == "ravdess" else cremad.ACTORS))
    if unknown := set(actors or ()).difference(everyone):
        raise InputError(f"there is no actor {min(unknown)}: expected 1 to {everyone[-1]}", "--actors 1-4")
    chosen, out = sorted(actors or everyone), Path(out)
    pooch.get_logger().setLevel("WARNING")
    with files.lock(out):
        scratch = out / ".download"
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            fetch = _ravdess if database == "ravdess" else _cremad
            fetched = fetch(out, scratch, chosen, songs)
        except OSError as error:
            raise files.explained(error, out) from error
        shutil.rmtree(scratch, ignore_errors=True)
    return {
        "database": database,
        "folder": str(out),
        "files": len(fetched),
        "bytes": sum(remote.size for remote in fetched),
    }


def parse_actors(text: str) -> set[int]:
    """Actors' numbers from ``1-4,7``; CREMA-D's own (1001 to 1091) are understood, too. Raises `InputError`."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*", part)
        if not match:
            raise InputError(f"actors {text!r} are not of the form 1-4,7", "--actors 1-4")
        first, last = (int(number) % 1000 for number in (match[1], match[2] or match[1]))
        if last < first:
            raise InputError(f"the range of actors {part.strip()} ends before it begins", "--actors 1-4")
        numbers |= set(range(first, last + 1))
    return numbers


def _ravdess(out: Path, scratch: Path, actors: list[int], songs: bool) -> list[Remote]:
    """Archive by archive: fetch, unpack, remove."""
    wanted = [f"Video_Speech_Actor_{actor:02d}" for actor in actors]
    if songs:
        wanted += [f"Video_Song_Actor_{actor:02d}" for actor in actors if actor != ravdess.WITHOUT_SONGS]
    missing = [name for name in wanted if not (out / name).exists()]
    if not missing:
        return []
    listed = _zenodo_files(scratch)
    if unlisted := [name for name in missing if f"{name}.zip" not in listed]:
        raise InputError(f"Zenodo's record {RECORD} has no {unlisted[0]}.zip: expected a name, size and MD5 for it")
    remotes = [listed[f"{name}.zip"] for name in missing]
    # Half of an archive is kept (the takes without sound), and one archive at a time lies next to it.
    _check_space(out, sum(remote.size for remote in remotes) // 2 + max(remote.size for remote in remotes))
    with _bar(remotes) as bar:
        for remote in remotes:
            archive = _fetch(remote, scratch, bar)
            _unpack(archive, out / archive.stem)
            archive.unlink()
    return remotes


def _zenodo_files(scratch: Path) -> dict[str, Remote]:
    """The files of the record that have a usable name, size and checksum."""
    url = f"{ZENODO}/api/records/{RECORD}"
    file = scratch / "record.json"
    file.unlink(missing_ok=True)
    _transfer(url, file, None, MAX_LISTING, None)
    record = files.read_json(file)
    found = {}
    try:
        for entry in record["files"]:
            name, size, checksum = str(entry["key"]), int(entry["size"]), str(entry["checksum"])
            if re.fullmatch(r"md5:[0-9a-f]{32}", checksum) and 0 < size <= MAX_ARCHIVE:
                found[name] = Remote(name, f"{ZENODO}/records/{RECORD}/files/{name}?download=1", size, checksum)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{url} lists no files with sizes and checksums", "the same command later") from error
    return found


def _cremad(out: Path, scratch: Path, actors: list[int], _songs: bool) -> list[Remote]:
    """Clip by clip, by the pointers in the repository's own archive."""
    folder = out / "VideoFlash"
    archive = scratch / "repository.zip"
    if not archive.exists():
        part = scratch / "repository.part"
        part.unlink(missing_ok=True)
        _transfer(f"{GITHUB}/archive/refs/heads/master.zip", part, None, MAX_LISTING, None)
        part.replace(archive)
    places = list(CLIPS)
    subjects = {str(cremad.ACTORS[actor - 1]) for actor in actors}
    remotes = [remote for remote in _pointers(archive) if remote.name[:4] in subjects]
    there = {path.name: path.stat().st_size for path in folder.glob("*.flv")}
    missing = [remote for remote in remotes if there.get(remote.name) != remote.size]
    _check_space(out, sum(remote.size for remote in missing))
    folder.mkdir(exist_ok=True)
    with _bar(missing) as bar:
        for remote in missing:
            while True:
                try:
                    clip = _fetch(dataclasses.replace(remote, url=f"{places[0]}{remote.name}"), scratch, bar)
                    clip.replace(folder / remote.name)
                    break
                except InputError:
                    if len(places) == 1:
                        raise
                    places.pop(0)  # for all further clips, too
                    (scratch / f"{remote.name}.part").unlink(missing_ok=True)
    return missing


def _pointers(archive: Path) -> list[Remote]:
    """The clips that the repository's archive points to."""
    found = []
    with _opened(archive, "the repository's archive") as opened:
        for member in _members(opened, archive.name):
            path = PurePosixPath(member.filename)
            clip = path.parent.name == "VideoFlash" and path.suffix == ".flv" and cremad.clip_of(path.stem)
            if not clip or member.file_size > 1024:
                continue
            if pointer := _POINTER.fullmatch(opened.read(member)):
                found.append(Remote(path.name, path.name, int(pointer[2]), f"sha256:{pointer[1].decode()}"))
        if not found:
            raise InputError(f"{GITHUB} holds no pointers to clips", f"git clone {CLIPS[-1].partition('/-/')[0]}")
    return sorted(found, key=lambda remote: remote.name)


def _fetch(remote: Remote, scratch: Path, bar: tqdm) -> Path:
    """One file, whole and with the right checksum, in the folder of what is not yet complete."""
    part = scratch / f"{remote.name}.part"
    done = bar.n + remote.size

    def resume(url: str, target: str, _pooch: object) -> None:
        """pooch's downloader: it gives the target, checks it and moves it to its name."""
        _transfer(url, part, remote.size, remote.size, bar)
        part.replace(target)

    try:
        path = Path(pooch.retrieve(remote.url, remote.checksum, remote.name, scratch, downloader=resume))
    except ValueError as error:
        kind = remote.checksum.partition(":")[0]
        message = f"{remote.name} is not what its owner published: another {kind} checksum than {remote.checksum}"
        raise InputError(message, "the same command again; nothing was kept of it") from error
    bar.update(done - bar.n)
    return path


def _transfer(url: str, part: Path, size: int | None, most: int, bar: tqdm | None) -> None:
    """Go on with a partial file to its end, however often the connection breaks; an `InputError` if it can't be."""
    failures, most_so_far, start = 0, 0, bar.n if bar is not None else 0
    while True:
        have = part.stat().st_size if part.exists() else 0
        if size is not None and have == size:
            break
        most_so_far = max(most_so_far, have)
        try:
            _receive(url, part, have, most, bar, start)
            if size is None:
                break
            reason = "the server ends too early"
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            reason = f"HTTP status {status}"
            if status < 500 and status not in (408, 429):
                raise InputError(f"{url} cannot be fetched: {reason}", "the same command later") from error
        except (requests.RequestException, UnicodeError) as error:  # the latter for addresses that are none
            reason = type(error).__name__
        now = part.stat().st_size if part.exists() else 0
        failures = 0 if now > most_so_far else failures + 1
        if failures >= ATTEMPTS:
            total = "" if size is None else f" of {size}"
            message = f"{url} broke off after {now}{total} bytes ({reason})"
            raise InputError(message, "the same command again, which resumes")
        if failures:
            time.sleep(PAUSE * 2 ** (failures - 1))


def _receive(url: str, part: Path, have: int, most: int, bar: tqdm | None, start: int) -> None:
    """One request, from the byte that is missing; a server that ignores this starts anew."""
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # beyond the end: what is there is not the beginning of the file
            part.unlink()
            return
        answer.raise_for_status()
        resumes = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumes else 0
        with part.open("ab" if resumes else "wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                have += len(chunk)
                if have > most:
                    file.close()
                    part.unlink()
                    raise InputError(f"{url} sends more than {most} bytes", "the same command later")
                file.write(chunk)
                if bar is not None:
                    bar.update(start + have - bar.n)


def _unpack(archive: Path, folder: Path) -> None:
    """The takes without sound in an archive of RAVDESS as a folder, whole or not at all."""
    with _opened(archive, archive.name) as opened, files.atomic(folder, folder=True) as temporary:
        takes = {}
        for member in _members(opened, archive.name):
            path = PurePosixPath(member.filename)
            take = ravdess.take_of(path.stem)
            if path.suffix == ".mp4" and take and take[1] == ravdess.VIDEO_ONLY:
                takes[path.name] = member
        expanded = sum(member.file_size for member in takes.values())
        if not takes or expanded > _MAX_EXPANSION * archive.stat().st_size:
            raise InputError(f"{archive.name} holds {len(takes)} takes of {expanded} bytes: not what RAVDESS has")
        for name, member in takes.items():
            with opened.open(member) as source, (temporary / name).open("wb") as target:
                shutil.copyfileobj(source, target)


@contextlib.contextmanager
def _opened(archive: Path, what: str) -> Iterator[zipfile.ZipFile]:
    """An archive opened; whatever is wrong with it is an `InputError`, and it is removed."""
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except _BROKEN_ARCHIVE as error:
        archive.unlink()
        raise InputError(f"{what} cannot be unpacked: {printable(str(error))}", "the same command again") from error
    except InputError:
        archive.unlink()
        raise


def _members(opened: zipfile.ZipFile, what: str) -> Iterator[zipfile.ZipInfo]:
    """The files in an archive; an `InputError` if there are too many, or if one lies outside its folder."""
    members = opened.infolist()
    if len(members) > _MAX_MEMBERS:
        raise InputError(f"{what} holds {len(members)} files: expected {_MAX_MEMBERS} at most")
    for member in members:
        parts = re.split(r"[/\\]", member.filename)
        if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
            name = printable(member.filename[:80])
            raise InputError(f"{what} holds {name}, which lies outside its folder; nothing was unpacked")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others may claim any memory
            raise InputError(f"{what} is compressed in a way that zip archives seldom are; nothing was unpacked")
    yield from (member for member in members if not member.is_dir())


def _check_space(out: Path, needed: int) -> None:
    free = shutil.disk_usage(out).free
    if free < needed:
        gb = f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB free at {out}"
        raise InputError(f"too little space: {gb}", "another --out, or fewer --actors")


def _bar(remotes: list[Remote]) -> tqdm:
    total = sum(remote.size for remote in remotes)
    return tqdm(total=total, unit="B", unit_scale=True, desc="download", disable=None)
