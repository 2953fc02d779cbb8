"""What a reader yields."""

from dataclasses import dataclass
from pathlib import Path

from fer3d.data.video import View


@dataclass(frozen=True)
class Sequence:
    """One recording of one subject, with its label and where everything came from."""

    database: str
    subject: str
    name: str
    """Unique in the database, for example ``S005_001``."""
    source: Path
    """The folder of images, or the video file."""
    images: tuple[Path, ...] = ()
    """The frames in order for a folder of images; empty for a video."""
    label: str | None = None
    """Emotion of the whole sequence, a name of `labels.EMOTIONS`; None where unlabelled."""
    frame_labels: tuple[str | None, ...] | None = None
    """One emotion a frame where the database labels frames (DISFA); None elsewhere."""
    action_units: tuple[tuple[int, float], ...] = ()
    """FACS codes of the sequence where the release has them: (unit, intensity 0 to 5)."""
    views: tuple[View, ...] = (View(),)
    """Candidates, likeliest first; where there are several the face detector decides."""
    origin: str = ""
    """Which file the label came from, relative to the root."""


@dataclass(frozen=True)
class Skipped:
    """What a reader left out, and why."""

    what: str
    """The sequence by its name, or the file or folder by its path from the root of the release."""
    why: str
    """The reason; the same for all that is left out for the same reason."""
    file: str = ""
    """The file at fault, where ``what`` does not tell it."""
    remedy: str = ""
    """What the user could do to use it; empty where nothing helps."""
