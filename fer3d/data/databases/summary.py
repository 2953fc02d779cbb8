"""What a release holds, counted: the page, the JSON and the table of ``fer3d index``."""

import dataclasses
import functools
import math
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from fer3d import files, labels
from fer3d.data.databases import READERS, Sequence, Skipped, is_standin, scan
from fer3d.data.databases.release import Release, skipped
from fer3d.data.file_kinds import UnusableFile
from fer3d.data.video import CONCEALED, Flaw, listening, read_timed

_WIDTH = 100
"""Characters of the names to which one reason applies, on the page."""
_MAX_REASONS = 10
"""Reasons for leaving out that fit on the page."""


@dataclasses.dataclass(frozen=True)
class _Length:
    """What of a recording decodes."""

    frames: int = 0
    seconds: float = math.nan
    """From the first frame to the last; NaN where no frame rate is known."""


def summarise(database: str, root: Path | str, csv: Path | str | None = None, frames: bool = False) -> dict[str, Any]:
    """Counts over a release, ready for JSON. Raises as `scan` does.

    ``sequences`` and ``subjects`` count labelled and unlabelled ones; ``labelled``,
    ``labelled_subjects`` and ``classes`` (in label order) only those with an emotion. Where
    every frame has a label (DISFA), ``classes`` counts frames; ``classes_of`` says which.
    ``synthetic``: the release is a stand-in.
    ``skipped`` lists what was left out or noted, why, and what would be the remedy. ``csv``: also
    write a table with one row per sequence, as the reader found it or why it left it out.
    ``frames``: decode every recording to its end, twice. Only so are holes found, and damage that the decoder conceals;
    the frames and the seconds of each recording are counted, in the table and in sum.
    """
    root = Path(root)
    records: list[Sequence | Skipped] = []
    lengths: dict[str, _Length] = {}
    for found in scan(database, root):
        records.append(found)
        if frames and isinstance(found, Sequence):
            lengths[found.name], flaws = _decoded(found, Release(root).shown(found.source))
            records += flaws
    records = list(dict.fromkeys(records))  # the reader notes some of the flaws, too
    if csv:
        _write_table(database, records, lengths, Path(csv))
    sequences = labelled = 0
    counted = "sequences"
    subjects, labelled_subjects = set(), set()
    classes: Counter[str | None] = Counter()
    left_out = []
    for found in records:
        if isinstance(found, Skipped):
            left_out.append(dataclasses.asdict(found))
            continue
        sequences += 1
        subjects.add(found.subject)
        if found.label is not None or found.frame_labels is not None:
            labelled += 1
            labelled_subjects.add(found.subject)
            classes.update(found.frame_labels or (found.label,))
            counted = "frames" if found.frame_labels else counted
    return {
        "database": database,
        "synthetic": is_standin(root),
        "sequences": sequences,
        "labelled": labelled,
        "subjects": len(subjects),
        "labelled_subjects": len(labelled_subjects),
        "classes_of": counted,
        "classes": {name: classes[name] for name in labels.classes_of(database, filter(None, classes))},
        "skipped": left_out,
    } | (_total(lengths) if frames else {})


def _decoded(sequence: Sequence, shown: str) -> tuple[_Length, list[Skipped]]:
    """What of a recording, or of its part, decodes, and the flaws of the file, which is ``shown``."""
    count, first, last, flaws = 0, math.nan, math.nan, []
    bar = tqdm(desc=sequence.name, unit="frame", disable=None, leave=False)
    with bar:
        try:
            for item in read_timed(sequence.source, sequence.images, frame_rate=sequence.frame_rate):
                if isinstance(item, Flaw):
                    flaws.append(Skipped(shown, item.why))
                    continue
                if not sequence.holds(item.number, item.seconds):
                    continue
                count, first, last = count + 1, first if count else item.seconds, item.seconds
                bar.update()
        except UnusableFile as reason:
            flaws.append(skipped(shown, reason))
    if not flaws and not sequence.images and _complaints(sequence.source):  # a file that breaks off ends with an error
        flaws.append(Skipped(shown, CONCEALED))
    return _Length(count, round(last - first, 3)), flaws


@functools.lru_cache(maxsize=1)  # lines of a table that are parts of one recording follow each other
def _complaints(source: Path) -> bool:
    with listening(source) as complains:
        return complains()


def _total(lengths: dict[str, _Length]) -> dict[str, Any]:
    timed = [length.seconds for length in lengths.values() if not math.isnan(length.seconds)]
    return {"frames": sum(length.frames for length in lengths.values()), "seconds": round(sum(timed), 1)}


def page(summary: dict[str, Any]) -> str:
    """A summary on one screen: the counts next to the owners', and what was left out, grouped by reason."""
    published = READERS[summary["database"]].PUBLISHED
    title = labels.title(summary["database"], summary["synthetic"])
    lines = [f"{title:<20}{'found':>8}{'published':>12}"]
    totals = ("sequences", "labelled", "subjects", "labelled_subjects")
    lines += [_line(name.replace("_", " "), summary[name], getattr(published, name)) for name in totals]
    classes = published.classes or {}
    lines += [f"{name:<20}{summary[name]:>8}" for name in ("frames", "seconds") if name in summary]
    lines.append(f"{summary['classes_of']} by emotion")
    lines += [_line(f"  {name}", count, classes.get(name)) for name, count in summary["classes"].items()]
    lines.append(f"published: {published.source}")
    reasons: dict[tuple[str, str], list[str]] = {}
    for entry in summary["skipped"]:
        what = ": ".join(filter(None, (_end(entry["what"]), entry["file"])))
        reasons.setdefault((entry["why"], entry["remedy"]), []).append(what)
    lines.append(_line("left out or noted", len(summary["skipped"])))
    for (why, remedy), names in sorted(reasons.items(), key=lambda item: -len(item[1]))[:_MAX_REASONS]:
        lines.append(f"{len(names):>8}  {why} ({textwrap.shorten(', '.join(names), _WIDTH, placeholder=' ...')})")
        lines += [f"{'':>10}to use it: {remedy}"] if remedy else []
    if len(reasons) > _MAX_REASONS:
        lines.append(f"          and {len(reasons) - _MAX_REASONS} more reasons; --csv and --json list all")
    return "\n".join(lines)


def _write_table(database: str, records: list[Sequence | Skipped], lengths: dict[str, _Length], out: Path) -> None:
    columns = ["subject", "sequence", "label", "labelled_frames", "source", "images", "origin"]
    columns += ["frames", "seconds"] if lengths else []
    columns += ["left_out", "file", "remedy"]
    table = pd.DataFrame([_row(found, lengths) for found in records], columns=columns)
    counts = {"labelled_frames", "images", "frames"} & set(columns)
    table = table.astype(dict.fromkeys(counts, "Int64"))
    table.insert(0, "database", database)
    files.write_csv(out, files.for_spreadsheets(table))


def _row(found: Sequence | Skipped, lengths: dict[str, _Length]) -> dict[str, Any]:
    if isinstance(found, Skipped):
        return {"sequence": found.what, "left_out": found.why, "file": found.file, "remedy": found.remedy}
    return {
        "subject": found.subject,
        "sequence": found.name,
        "label": found.label,
        "labelled_frames": sum(label is not None for label in found.frame_labels or ()) or None,
        "source": str(found.source),
        "images": len(found.images) or None,
        "origin": found.origin,
    } | dataclasses.asdict(lengths.get(found.name, _Length()))


def _end(path: str) -> str:
    """The last two parts of a path: enough to recognise it."""
    parts = path.split("/")
    return "/".join(["...", *parts[-2:]]) if len(parts) > 2 else path


def _line(name: str, found: int, published: int | None = None) -> str:
    return f"{name:<20}{found:>8}{'' if published is None else published:>12}".rstrip()
