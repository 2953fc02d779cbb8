"""What the network is fed."""

import dataclasses

import numpy as np
import pytest
import torch
from dots import moving_dots, written

from fer3d.batches import Clips, batches, normalised
from fer3d.errors import InputError


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


def test_another_process_opens_the_stores_itself(tmp_path):
    store = written(moving_dots(), tmp_path / "dots")
    clips = Clips([(store, np.array([5, 2, 7]))], ("anger", *store.classes[1:]))
    again = Clips.at(clips.places, clips.classes)
    for ours, theirs in zip(
        again.batch(np.arange(3), torch.device("cpu")), clips.batch(np.arange(3), torch.device("cpu")), strict=True
    ):
        assert torch.equal(ours, theirs)
    part = dataclasses.replace(store, manifest=store.manifest[:9], frames=store.frames[:9])
    for other in (part, dataclasses.replace(store, info={**store.info, "fingerprint": "another"})):
        with pytest.raises(InputError, match="another store"):
            Clips.at(Clips([(other, np.arange(3))], store.classes).places, store.classes)
