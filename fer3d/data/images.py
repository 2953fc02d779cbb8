"""Image files: read, bounded and turned upright, and which of a numbered series are missing."""

import itertools
import re
import statistics
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from fer3d.data.file_kinds import (
    IMAGE_FORMATS,
    MAX_PIXELS,
    PICTURES,
    UNKNOWN,
    VideoError,
    first_line,
    kind_of,
    status_of,
)

MAX_IMAGE_BYTES = 2**27
"""Size of one image file."""
HOLE = 1.75
"""A step of so many usual ones, between the numbers of two images or the times of two frames, is a hole."""
_REGULAR = 0.75
"""Share of these steps that are alike, or holes can't be told."""


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image by its header; raises `VideoError`."""
    with _open_image(path) as image:
        return image.size


def read_image(path: Path) -> np.ndarray:
    """One image as (H, W, 3) uint8 RGB; raises `VideoError`."""
    with _open_image(path) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip instead of scaling
                grey = (np.asarray(image) >> 8).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=2)
            ImageOps.exif_transpose(image, in_place=True)
            return np.array(image.convert("RGB"))
        except Exception as error:  # a decoder may raise anything on a damaged file
            raise VideoError(f"broken image, {first_line(error)}", path.name) from error


def _open_image(path: Path) -> Image.Image:
    size = status_of(path).st_size
    if size > MAX_IMAGE_BYTES:
        raise VideoError(f"{size} bytes; at most {MAX_IMAGE_BYTES}", path.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(path, formats=IMAGE_FORMATS)
        except Image.DecompressionBombError as error:  # beyond Pillow's own, larger bound
            raise VideoError(f"claims too many pixels; at most {MAX_PIXELS}", path.name) from error
        except Exception as error:  # a decoder may raise anything on a damaged file
            kind = kind_of(path)
            other = kind not in (UNKNOWN, *PICTURES)
            remedy = "git lfs pull" if "git" in kind else "a PNG, JPEG or BMP image"
            raise VideoError(
                f"{kind}, not a readable image" if other else "not a readable image",
                path.name,
                remedy if other else "a new copy of the file",
            ) from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise VideoError(f"claims {image.width} x {image.height} pixels; at most {MAX_PIXELS}", path.name)
    return image


def number_in(path: Path) -> int | None:
    """The last number in a file's name; None where it has none."""
    digits = re.findall(r"[0-9]{1,15}", path.stem)
    return int(digits[-1]) if digits else None


class Hole(NamedTuple):
    """Images that lack in a numbered series."""

    images: int
    """How many."""
    why: str
    """Which, in words."""


def missing_images(images: Sequence[Path]) -> dict[int, Hole]:
    """What lacks before which image, counted from 0, by the last number in the names.

    Only where nearly all numbers are at one distance, so that a larger one is a hole.
    """
    numbers = [number for image in images if (number := number_in(image)) is not None]
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    if len(numbers) < len(images) or not steps:
        return {}
    usual = statistics.mode(steps)
    if usual < 1 or steps.count(usual) < _REGULAR * len(steps):
        return {}
    holes = {}
    for at, step in enumerate(steps, start=1):
        if step > HOLE * usual:
            first, last = numbers[at - 1] + usual, numbers[at] - usual
            why = f"image {first} is missing" if last <= first else f"images {first} to {last} are missing"
            holes[at] = Hole(round(step / usual) - 1, why)
    return holes
