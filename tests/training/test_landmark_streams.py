"""What the shipped landmark streams learn from: faces changed in one way for a whole clip, and a detector's error."""

import pytest
import torch

from benchmarks.training import landmark_streams, second_rendering
from fer3d.config import ClipSettings
from fer3d.data.landmarks import EYE_CORNERS

LEFT, RIGHT = EYE_CORNERS
RESTING = torch.from_numpy(second_rendering.record_landmarks(ClipSettings(size=64), 0, 0, exact=True)[:1, :1]).float()
STILL = RESTING.repeat(400, 10, 1, 1)
DISTANCE = float((RESTING[0, 0, RIGHT] - RESTING[0, 0, LEFT]).norm())


def test_a_still_face_stays_still_where_the_detector_makes_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmark_streams, "DRIFT", 0.0)
    monkeypatch.setattr(landmark_streams, "JITTER", 0.0)
    torch.manual_seed(0)
    changed = landmark_streams.varied(STILL)
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-4)
    moved = (changed - STILL)[:, 0].norm(dim=-1).mean(1) / DISTANCE  # of each clip, in inter-ocular distances
    assert moved.min() < 0.02 < 0.1 < moved.max() < 0.4, "some hardly, some much"


def test_the_detectors_error_grows_along_the_clip_and_leaves_the_face_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, nothing in (("MOVED", (0.0, 0.0)), ("STRETCHED", 0.0), ("ELSEWHERE", 0.0)):
        monkeypatch.setattr(landmark_streams, name, nothing)
    torch.manual_seed(0)
    error = (landmark_streams.varied(STILL) - STILL).square().mean((0, 2, 3)).sqrt() / DISTANCE  # of each frame
    assert 0.003 < error[0] < error[-1] < 0.015
