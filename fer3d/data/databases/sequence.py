"""What a reader yields: a sequence, or what it skipped and why."""

import math
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
    """Class of the whole sequence, of `labels.EMOTIONS` or declared by a table; None where unlabelled."""
    frame_labels: tuple[str | None, ...] | None = None
    """One emotion per frame where the database labels frames (DISFA); None elsewhere."""
    action_units: tuple[tuple[int, float], ...] = ()
    """FACS codes of the sequence where the release has them: (unit, intensity 0 to 5)."""
    views: tuple[View, ...] = (View(),)
    """Candidates, likeliest first; of several, the face detector decides."""
    origin: str = ""
    """The file of the label, relative to the root."""
    first: int = 0
    """The first frame that counts, from 0."""
    last: int | None = None
    """The frame before which the sequence ends; None: at the recording's end."""
    seconds: tuple[float, float] | None = None
    """In place of both: from when, and before when, by the frames' own times."""
    fold: int | None = None
    """The fold in which the user's table tests the subject, from 0; None: none is given."""

    def holds(self, number: int, seconds: float) -> bool:
        """Whether a frame of the recording, by its number and its time, counts."""
        if self.seconds is not None:
            return self.seconds[0] <= seconds < self.seconds[1]
        return self.first <= number < (self.last or math.inf)


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
