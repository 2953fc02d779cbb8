"""The explorer of notebook 01: the clips of prepared stores beside what was recorded."""

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path

import cv2
import ipywidgets as widgets
import numpy as np

from fer3d.data import crop, databases, video
from fer3d.data.crop import Box
from fer3d.data.face_fit import predictor_box
from fer3d.data.file_kinds import VideoError
from fer3d.data.store import Store
from fer3d.workbook.explorers.explorer import Explorer, choice, numbers_of, slider
from fer3d.workbook.explorers.panels import BOX, CROP, NO_FACE, POINTS, SIDE, side_by_side, with_points, write


def explore_clips(stores: Mapping[str, Store], titles: Mapping[str, str], roots: Mapping[str, Path]) -> Explorer:
    """Any frame of any clip, as recorded with box, crop and landmarks, and as stored.

    Where no face was found, the border has another colour. Where the recording is no longer there, the crop is shown
    alone.

    Args:
        stores: the prepared stores, by database.
        titles: the databases' printed names.
        roots: the releases that the stores were made from.

    Raises:
        InputError: a whole release is no longer there.
    """
    num_frames = next(iter(stores.values())).frames.shape[1]
    recordings = {
        name: {
            found.name: found
            for found in databases.scan(name, roots[name], store.settings)
            if isinstance(found, databases.Sequence)
        }
        for name, store in stores.items()
    }

    def draw(database: str, clip: int, frame: int, landmarks: bool) -> np.ndarray:
        store, row, frame = stores[database], min(clip, len(stores[database])) - 1, frame - 1
        clip_info, (n_faces, score, confidence) = store.manifest.iloc[row], store.detections[row, frame]
        points, scale = store.landmarks[row, frame], SIDE / store.frames.shape[2]
        cropped = cv2.resize(store.frames[row, frame], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        cropped = with_points(cropped, points, scale) if landmarks else cropped
        rejected = bool(np.isnan(points).any())
        detection = (
            "no face: rejected" if rejected else f"faces {n_faces:.0f}, score {score:.2f}, confidence {confidence:.2f}"
        )
        title = f"{clip_info['sequence']}, {clip_info['label']}, frame {frame + 1} of {num_frames}"
        panels, recording = [cropped], recordings[database].get(str(clip_info["sequence"]))
        recorded = source_frame(store, row, frame, recording) if recording else None
        if recorded is not None:
            box = Box(*store.squares[row, frame])
            points = crop.to_frame(points, box, store.settings.size)
            panels.insert(0, _annotated(recorded, box, points, landmarks))
        names = [title, f"{titles[database]}, clip {row + 1} of {len(store)}"]
        picture = side_by_side(panels, names[: len(panels)], *([NO_FACE] if rejected else []))
        return np.vstack([picture, _legend(picture.shape[1], detection)])

    database = choice("database", [(titles[name], name) for name in stores])
    return Explorer(
        draw,
        database=database,
        clip=numbers_of("clip", database, stores),
        frame=slider("frame", num_frames, 1, num_frames),
        landmarks=widgets.Checkbox(True, description="landmarks"),
    )


def _legend(width: int, detection: str) -> np.ndarray:
    """What was detected, and below it what the colours of the clip browser mean, (48, width, 3) uint8."""
    lines, x = np.full((48, width, 3), 255, np.uint8), 8
    write(lines, detection, (x, 16), 0.4)
    for colour, name in {POINTS: "landmarks", CROP: "crop", BOX: "detected box", NO_FACE: "no face"}.items():
        cv2.rectangle(lines, (x, 30), (x + 16, 40), colour, -1)
        write(lines, name, (x + 22, 40), 0.4)
        x += 40 + 8 * len(name)
    return lines


def source_frame(store: Store, row: int, frame: int, recording: databases.Sequence) -> np.ndarray | None:
    """The recorded frame, upright, that a stored picture was cut from.

    It is found by cutting it again: the same cut must give the same picture. The frame at the video's index is tried
    first, then the one reached by decoding all frames before it, since an index can be wrong.

    None where neither frame gives the picture: the recording is not the one that the store was made from.
    """
    settings = store.settings
    index, box = int(store.numbers[row, frame]), Box(*store.squares[row, frame])
    for start in dict.fromkeys((index, 0)):
        frames = video.read_frames(recording.source, recording.images, start)
        with contextlib.suppress(VideoError):
            for recorded in itertools.islice(frames, index - start, index - start + 1):
                for view in recording.views:
                    upright = video.upright(recorded, view)
                    if np.array_equal(crop.cut_out(upright, box, settings.size), store.frames[row, frame]):
                        return upright
    return None


def _annotated(frame: np.ndarray, cropped: Box, points: np.ndarray, landmarks: bool) -> np.ndarray:
    """A recorded frame, `SIDE` high, with its face's box, its landmarks (66, 2) and the box that is cropped."""
    scale = SIDE / frame.shape[0]
    picture = cv2.resize(frame, (round(frame.shape[1] * scale), SIDE), interpolation=cv2.INTER_AREA)
    if not np.isnan(points).any():
        picture = with_points(picture, points, scale) if landmarks else picture
        corners = (scale * predictor_box(points).corners).astype(np.int32)
        cv2.polylines(picture, [corners], True, BOX, 1, cv2.LINE_AA)
    cv2.polylines(picture, [(scale * cropped.corners).astype(np.int32)], True, CROP, 2, cv2.LINE_AA)
    return picture
