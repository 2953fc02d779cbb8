"""What the network is fed."""

import numpy as np
import torch

from fer3d.batches import batches, normalised


def test_each_clip_is_normalised_by_itself():
    frames = torch.randint(0, 256, (2, 3, 8, 8, 3), dtype=torch.uint8)
    frames[1] //= 4
    clips = normalised(frames, "whole")
    assert clips.shape == (2, 3, 3, 8, 8)
    assert torch.allclose(clips.mean((1, 2, 3, 4)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(clips.std((1, 2, 3, 4), correction=0), torch.ones(2), atol=1e-5)
    assert torch.allclose(
        clips[1, 1, 2] * frames[1].float().std(correction=0), frames[1, 2, :, :, 1] - frames[1].float().mean()
    )
    assert torch.allclose(normalised(frames, "none")[0, 1, 2], frames[0, 2, :, :, 1] / 127.5 - 1)


def test_still_picture_and_motion_weigh_the_same():
    """However faint the motion is, and whoever moves."""
    person = torch.randint(0, 200, (2, 1, 8, 8, 3), dtype=torch.uint8).expand(2, 4, 8, 8, 3).clone()
    person[:, 0, 2:4] += 9
    person[1, 0, 2:4] += 36
    clips = normalised(person, "parts")
    still = clips.mean(2, keepdim=True)
    motion = clips - still
    for part in (still, motion):
        assert torch.allclose(part.std((1, 2, 3, 4), correction=0), torch.ones(2), atol=1e-4)
    assert torch.allclose(motion[0], motion[1], atol=1e-4)
    person[:, 0] = person[:, 1]
    unmoved = normalised(person, "parts")
    assert torch.allclose(unmoved, unmoved[:, :, :1].expand_as(unmoved)) and torch.isfinite(unmoved).all()


def test_batches_are_of_nearly_equal_size():
    sizes = [len(part) for part in batches(np.arange(33), 16)]
    assert sizes == [11, 11, 11]
