"""What a reader yields: a sequence, or what it skipped and why."""

from dataclasses import dataclass
from pathlib import Path

from fer3d.data.video import View


@dataclass(frozen=True)
class Sequence:
    """One recording of one subject, with its label and its files."""

    database: str
    subject: str
    name: str
    """Unique in the database, for example ``S005_001``."""
    source: Path
    """The folder of images, or the video file."""
    images: tuple[Path, ...] = ()
    """The frames in order for a folder of images; empty for a video."""
    frame_rate: float | None = None
    """Of the images, in frames a second, where it is known; a video has time stamps."""
    label: str | None = None
    """Emotion of the whole sequence, a name of `labels.EMOTIONS`; None where unlabelled."""
    frame_labels: tuple[str | None, ...] | None = None
    """One emotion per frame where the database labels frames (DISFA); None elsewhere."""
    action_units: tuple[tuple[int, float], ...] = ()
    """FACS codes of the sequence where the release has them: (unit, intensity 0 to 5)."""
    views: tuple[View, ...] = (View(),)
    """Candidates, likeliest first; of several, the face detector decides."""
    origin: str = ""
    """The file of the label, relative to the root."""


@dataclass(frozen=True)
class Skipped:
    """What a reader left out, and why."""

    what: str
    """The sequence by its name, or the file or folder by its path from the root of the release."""
    why: str
    """The reason, in the same words wherever the same reason applies."""
    file: str = ""
    """The file at fault, where ``what`` does not name it."""
    remedy: str = ""
    """What the user could do to use it; empty where nothing helps."""
