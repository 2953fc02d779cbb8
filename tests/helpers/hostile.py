"""Damaged and malicious releases: what a reader meets when everything in a release lies.

    python tests/helpers/hostile.py [--mutations 2400] [--seed 0]

Each mutation takes a small sound release, spoils one file, folder or name of it, indexes it
and decodes what is offered of the spoilt recording. A run is well if every other recording
comes out as before, the spoilt one comes out, is skipped with a reason, or the whole is
refused in one line, nothing crashes or takes longer than the longest search for a video's
next frame, and the release is left as it was found. Runs in worker processes without privileges, so that
forbidden files are forbidden to them and a crash is seen. Prints a table of outcomes.
"""

import argparse
import collections
import contextlib
import functools
import json
import os
import random
import selectors
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from trees import ckplus_sequence, disfa_subject, fera_sequence, mmi_session, write_text

from fer3d.data import databases
from fer3d.data.databases import Sequence, Skipped
from fer3d.data.video import STALL_SECONDS, VideoError, read_frames
from fer3d.errors import InputError

SECONDS = STALL_SECONDS + 0.5
"""Processor time that indexing a spoilt release may take, and decoding one spoilt recording."""
MEMORY = 2**30
"""Bytes that a worker may ever hold."""
PATIENCE = 30.0
"""Seconds after which a worker counts as hanging."""
NOBODY = 65534


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


BUILD = {"ckplus": build_ckplus, "mmi": build_mmi, "disfa": build_disfa, "fera": build_fera}

Mutation = Callable[[Path, random.Random], None]


# ---- any file ----


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 64)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def truncate(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    start, end = sorted(rng.sample(range(len(content) + 1), 2))
    path.write_bytes(content[:start] + content[end:])


def repeat(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    start, end = sorted(rng.sample(range(len(content) + 1), 2))
    path.write_bytes(content[:end] + content[start:end] * rng.randint(1, 50) + content[end:])


def insert(path: Path, rng: random.Random) -> None:
    content, at = path.read_bytes(), rng.randrange(path.stat().st_size)
    path.write_bytes(content[:at] + rng.randbytes(rng.randint(1, 4096)) + content[at:])


def noise(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(rng.randint(1, 65536)))


def empty(path: Path, _rng: random.Random) -> None:
    path.write_bytes(b"")


def huge(path: Path, rng: random.Random) -> None:
    """Grown by zeros to 100 MB and more; sparse on the disk."""
    os.truncate(path, rng.randint(100, 4000) * 2**20)


def as_folder(path: Path, _rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def as_pipe(path: Path, _rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def as_link(path: Path, rng: random.Random) -> None:
    """A link to something outside, to nothing, to itself, to an endless device."""
    path.unlink()
    targets = ["/etc/hostname", "/dev/zero", "/dev/stdin", "/proc/self/mem", "nothing", path.name, "/", "..", "."]
    path.symlink_to(rng.choice([*targets, "../" * 12 + "etc/hostname"]))


def forbidden(path: Path, _rng: random.Random) -> None:
    path.chmod(0)


def forbidden_folder(path: Path, _rng: random.Random) -> None:
    path.parent.chmod(0)


def renamed(path: Path, rng: random.Random) -> None:
    names = [
        b"..%2f..%2fetc",
        b"...",
        b"-rf",
        b"a\nb",
        b"\x1b[31m",
        b"\xff\xfe",
        b"%05d" + path.suffix.encode(),
        b"x" * 240,
    ]
    names += [b"con" + path.suffix.encode(), b" ", b"$(id)", b"`id`" + path.suffix.encode(), "\u202e".encode()]
    path.rename(path.parent / os.fsdecode(rng.choice(names)))


def neighbour(path: Path, rng: random.Random) -> None:
    """A second file of the same number or kind."""
    name = rng.choice(
        [f"{path.stem}{path.suffix.upper()}", f"..{path.name}", f"0{path.name}", f"{path.stem}.{path.name}"]
    )
    if not (path.parent / name).exists():
        shutil.copy(path, path.parent / name)


ANY = [flip, truncate, cut, repeat, insert, noise, empty, huge, as_folder, as_pipe, as_link]
ANY += [forbidden, forbidden_folder, renamed, neighbour]


# ---- label files ----


def words(path: Path, rng: random.Random) -> None:
    tokens = [
        "nan",
        "inf",
        "-1",
        "1e999",
        "9" * 5000,
        "0x10",
        "1_000",
        "٣",
        "1,2,3",
        "\0",
        "--",
        "1e-320",
        "happy",
        "7",
    ]
    path.write_text(" ".join(rng.choices(tokens, k=rng.randint(1, 4))) + "\n")


CODECS = ["utf-16", "utf-32", "utf-8-sig", "cp037", "utf-7"]


def recoded(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_text().encode(rng.choice(CODECS)))


def many_lines(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() * rng.randint(2, 2**20 // max(path.stat().st_size, 1) + 2))


def one_line(path: Path, rng: random.Random) -> None:
    path.write_text(rng.choice(["1 ", "9", "1,", "\t"]) * 500_000)


# ---- XML ----


def entity_bomb(path: Path, rng: random.Random) -> None:
    levels = "".join(f"<!ENTITY e{n} '" + f"&e{n - 1};" * 10 + "'>" for n in range(1, rng.randint(3, 30)))
    path.write_text(f'<!DOCTYPE D [<!ENTITY e0 "ha">{levels}]><D><Metatag Name="Emotion" Value="&e2;"/>&e2;</D>')


def quadratic_bomb(path: Path, _rng: random.Random) -> None:
    path.write_text("<!DOCTYPE D [<!ENTITY e '" + "x" * 500_000 + "'>]><D>" + "&e;" * 100_000 + "</D>")


def outside_entity(path: Path, rng: random.Random) -> None:
    target = rng.choice(["file:///etc/hostname", "file:///dev/zero", "http://127.0.0.1:9/", "../../x.dtd"])
    path.write_text(f'<!DOCTYPE D [<!ENTITY e SYSTEM "{target}">]><D><Metatag Name="Emotion" Value="1"/>&e;</D>')


def large_attribute(path: Path, rng: random.Random) -> None:
    with path.open("wb") as file:
        file.write(b'<D a="')
        for _ in range(rng.choice([1, 100])):
            file.write(b"x" * 999_000)
        file.write(b'"/>')


def deep(path: Path, rng: random.Random) -> None:
    depth = rng.randint(1_000, 140_000)
    path.write_text("<a>" * depth + rng.choice(["", "</a>" * depth]))


def wide(path: Path, rng: random.Random) -> None:
    path.write_text("<D>" + "<Metatag/>" * rng.randint(1_000, 100_000) + "</D>")


def attributes(path: Path, rng: random.Random) -> None:
    names = " ".join(f"a{n}='1'" for n in range(rng.randint(1_000, 80_000)))
    path.write_text(f"<D {names}/>")


def declared(path: Path, rng: random.Random) -> None:
    name = rng.choice(
        ["klingon", "utf-16", "utf-32", "rot13", "zlib", "ascii", "cp037", "idna", "unicode_escape", "", "x" * 999]
    )
    path.write_text(f'<?xml version="1.0" encoding="{name}"?><D><Metatag Name="Emotion" Value="\xe9"/></D>')


def values(path: Path, rng: random.Random) -> None:
    value = rng.choice(["0", "-1", "7", "1.0", "9" * 10_000, "²", "٣", "", " ", "1\n2", "&#0;", "&lt;", "1e0", "0x1"])
    path.write_text(
        f'<D><track view="{value}"/><Metatag Name="Emotion" Value="{value}"/><ActionUnit Number="{value}"/></D>'
    )


# ---- pictures and videos ----


def png(width: int, height: int, depth: int, kind: int, *extra: tuple[bytes, bytes], data: bytes) -> bytes:
    """A PNG with sound checksums round whatever it claims; ``data`` is compressed."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def claims(path: Path, rng: random.Random) -> None:
    """A PNG of 60,000 x 60,000 and the like, with sound checksums."""
    side = [0, 1, 4096, 4097, 60_000, 2**31 - 1, 2**31, 2**32 - 1]
    path.write_bytes(
        png(rng.choice(side), rng.choice(side), rng.choice([1, 8, 16, 99]), rng.choice([0, 2, 3, 4, 6]), data=zeros(99))
    )


def packed(path: Path, rng: random.Random) -> None:
    """Compressed text, profile or pixels that swell."""
    name, head = rng.choice([(b"zTXt", b"k\0\0"), (b"iCCP", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0")])
    path.write_bytes(png(4, 4, 8, 0, (name, head + zeros(10**8)), data=zeros(rng.choice([1, 100, 10**8]))))


@functools.cache
def zeros(number: int) -> bytes:
    return zlib.compress(bytes(number))


def other_picture(path: Path, rng: random.Random) -> None:
    """Another format, or one that claims too much, under the same name."""
    bmp = (
        b"BM"
        + struct.pack("<IHHI", 0, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 60_000, -60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    jpeg = (
        b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 60_000, 60_000) + b"\x03\x01\x22\0\x02\x11\1\3\x11\1\xff\xd9"
    )
    gif = b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + b"\0\0\0;"
    path.write_bytes(
        rng.choice(
            [bmp, jpeg, gif, b"II*\0\x08\0\0\0\xff\xff", b"%!PS-Adobe-3.0 EPSF", b"<svg/>", b"P6 60000 60000 255\n"]
        )
    )


def fields(path: Path, rng: random.Random) -> None:
    """Extreme values in the fields of an AVI's headers."""
    content = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 4)):
        at = content.find(rng.choice([b"avih", b"strh", b"strf", b"movi", b"idx1", b"00dc", b"indx"])) + 4
        at += 4 * rng.randrange(16)
        content[at : at + 4] = struct.pack("<I", rng.choice([0, 1, 60_000, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1]))
    path.write_bytes(content)


def codec(path: Path, rng: random.Random) -> None:
    kinds = [
        b"H264",
        b"XVID",
        b"HFYU",
        b"FFV1",
        b"MSVC",
        b"cvid",
        b"DIB ",
        b"zlib",
        b"\0\0\0\0",
        b"RLE ",
        b"png ",
        b"tscc",
    ]
    path.write_bytes(path.read_bytes().replace(b"MJPG", rng.choice(kinds)))


def playlist(path: Path, rng: random.Random) -> None:
    """What FFmpeg would follow elsewhere."""
    path.write_text(
        rng.choice(
            [
                "#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
                "ffconcat version 1.0\nfile '/etc/hostname'\n",
                "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
                "<?xml version='1.0'?><MPD><Period/></MPD>",
                "RIFF\0\0\0\0AVI ffconcat version 1.0\nfile '/etc/hostname'\n",
            ]
        )
    )


KINDS: dict[str, tuple[tuple[str, ...], list[Mutation]]] = {
    "label": ((".txt", ".dat"), [words, recoded, many_lines, one_line]),
    "xml": (
        (".xml",),
        [entity_bomb, quadratic_bomb, outside_entity, large_attribute, deep, wide, attributes, declared, values],
    ),
    "picture": ((".png",), [claims, packed, other_picture]),
    "video": ((".avi",), [fields, codec, playlist]),
    "table": ((".csv",), [words, recoded, one_line]),
}


def outcome(database: str, sound: Path, seed: int) -> dict[str, object]:
    """Spoil a copy of a release in the way of ``seed``, read it, and tell what came of it."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "release").resolve()
        shutil.copytree(sound, root)
        before = [entry for entry in databases.scan(database, root) if isinstance(entry, Sequence)]
        target = _target(root, rng)
        kind, special = next((kind, own) for kind, (suffixes, own) in KINDS.items() if target.suffix in suffixes)
        mutation = rng.choice(rng.choice([ANY, special]))
        where = target.parent if mutation is forbidden_folder else target
        spoilt = {s.name for s in before if _place(s, root) in f"{where}/"} or {s.name for s in before}
        mutation(target, rng)
        state = _state(root)
        clock = Clock()
        result, problem = "", ""
        try:
            result, after = _read(database, root, spoilt, clock)
            if any(after.get(s.name) != _essence(s) for s in before if s.name not in spoilt):
                problem = "another recording changed"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if clock.longest() > SECONDS:
            problem = problem or f"{clock.longest():.1f} s"
        if _state(root) != state:
            problem = problem or "the release was written to"
        target.parent.chmod(0o755)
    told = {"seed": seed, "database": database, "kind": kind, "mutation": mutation.__name__}
    return {**told, "result": result, "problem": problem, "seconds": clock.longest()}


class Clock:
    """Processor time of the indexing and of each decoding."""

    def __init__(self) -> None:
        self.indexing, self.decoding = 0.0, [0.0]

    @contextlib.contextmanager
    def decode(self) -> Iterator[None]:
        start = time.process_time()
        try:
            yield
        finally:
            self.decoding.append(time.process_time() - start)

    def longest(self) -> float:
        return max(self.indexing, *self.decoding)


def _target(root: Path, rng: random.Random) -> Path:
    """A file of the release, each kind of file as likely as another."""
    files = sorted(file for file in root.rglob("*") if file.is_file())
    suffix = rng.choice(sorted({file.suffix for file in files}))
    return rng.choice([file for file in files if file.suffix == suffix])


def _place(s: Sequence, root: Path) -> str:
    """The part of a path by which a file is known to belong to the recording."""
    if s.database in ("ckplus", "disfa"):
        return s.name.replace("_", "/") + "/" if s.database == "ckplus" else s.subject
    return f"{s.source.parent}/"


def _read(database: str, root: Path, spoilt: set[str], clock: Clock) -> tuple[str, dict[str, object]]:
    """How it ended for the spoilt recordings, and the essence of all."""
    found, skipped, broken = {}, 0, 0
    start = time.process_time()
    try:
        for entry in databases.scan(database, root):
            if isinstance(entry, Skipped):
                skipped += 1
                assert entry.why and (entry.what + entry.why + entry.file + entry.remedy).isprintable(), entry
                continue
            found[entry.name] = _essence(entry)
            if entry.name in spoilt:
                try:
                    with clock.decode():
                        collections.deque(read_frames(entry.source, entry.images), maxlen=0)
                except VideoError as error:
                    assert str(error).isprintable()
                    broken += 1
    except InputError as error:
        assert str(error).isprintable()
        return "refused", found
    finally:
        clock.indexing = time.process_time() - start - sum(clock.decoding)
    if broken:
        return "decoding refused", found
    if not spoilt <= found.keys():
        assert skipped, "gone without a reason"
        return "skipped", found
    return "noted" if skipped else "read", found


def _essence(s: Sequence) -> object:
    return (s.subject, s.label, s.frame_labels, s.action_units, s.views, len(s.images), s.source.name)


def _state(root: Path) -> object:
    return sorted((str(p), p.lstat().st_mtime_ns, p.lstat().st_size) for p in root.rglob("*"))


def worker(seeds: range) -> None:
    """Outcomes of mutations as lines of JSON, without privileges."""
    with tempfile.TemporaryDirectory() as temporary:  # whatever is imported late is imported now
        for database, build in BUILD.items():
            build(Path(temporary))
            for entry in databases.scan(database, Path(temporary)):
                assert isinstance(entry, Skipped) or next(read_frames(entry.source, entry.images)) is not None
        assert all("".encode(codec) is not None for codec in CODECS)
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    with tempfile.TemporaryDirectory() as temporary:
        sound = {database: Path(temporary, database) for database in BUILD}
        for database, build in BUILD.items():
            build(sound[database])
        for seed in seeds:
            database = list(BUILD)[seed % len(BUILD)]
            told = outcome(database, sound[database], seed)
            told["memory"] = peak_memory()
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


def peak_memory() -> int:
    """Bytes that this program has held at most. (``getrusage`` would count what its parent held, too.)"""
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def run(mutations: int, seed: int) -> Iterator[dict[str, object]]:
    """The outcome of each mutation. A worker that dies or hangs is an outcome too, and another goes on."""
    at, end = seed, seed + mutations
    while at < end:
        command = [sys.executable, __file__, "--worker", str(at), str(end)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout and process.stderr
            selector = selectors.DefaultSelector()
            selector.register(process.stdout, selectors.EVENT_READ)
            while at < end:
                line = process.stdout.readline() if selector.select(PATIENCE) else ""
                if not line:
                    process.kill()
                    yield {"seed": at, "problem": f"crash or hang: {process.stderr.read()[-2000:]}", "result": ""}
                    at += 1
                    break
                told = json.loads(line)
                if told["memory"] > MEMORY:
                    told["problem"] = told["problem"] or f"{told['memory'] / 2**20:.0f} MiB"
                yield told
                at += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2400, help="how many (default: 2400)")
    parser.add_argument("--seed", type=int, default=0, help="of the first (default: 0)")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(range(*arguments.worker))
        return
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    slowest, largest, problems = 0.0, 0.0, []
    for told in run(arguments.mutations, arguments.seed):
        counts[str(told.get("kind", "?")), "PROBLEM" if told["problem"] else str(told["result"])] += 1
        slowest = max(slowest, float(str(told.get("seconds", 0))))
        largest = max(largest, float(str(told.get("memory", 0))))
        if told["problem"]:
            problems.append(told)
            sys.stderr.write(f"{told}\n")
            if len(problems) > 20:
                sys.exit("more than 20 problems; stopped")
    for (kind, result), count in sorted(counts.items()):
        sys.stdout.write(f"{kind:<10}{result:<20}{count:>6}\n")
    sys.stdout.write(
        f"{counts.total()} mutations, {len(problems)} problems; slowest step {slowest:.2f} s of processor time, "
        f"peak memory {largest / 2**20:.0f} MiB\n"
    )
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
