"""What the network is fed."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch
from dots import moving_dots, written

from fer3d.config import ClipNorm
from fer3d.errors import InputError
from fer3d.training.batches import Clips, batches, normalise_clips

CPU = torch.device("cpu")


def test_each_clip_is_normalised_by_itself():
    frames = torch.randint(0, 256, (2, 3, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    frames[1] //= 4
    clips = normalise_clips(frames, "whole")
    assert clips.shape == (2, 3, 3, 8, 8)
    assert torch.allclose(clips.mean((1, 2, 3, 4)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(clips.std((1, 2, 3, 4), correction=0), torch.ones(2), atol=1e-5)
    assert torch.allclose(
        clips[1, 1, 2] * frames[1].float().std(correction=0),
        frames[1, 2, :, :, 1] - frames[1].float().mean(),
        atol=1e-3,  # grey levels; some of them lie beside the mean
    )
    assert torch.allclose(normalise_clips(frames, "none")[0, 1, 2], frames[0, 2, :, :, 1] / 127.5 - 1, atol=1e-6)
    dark = torch.zeros_like(frames)
    dark[:, 0, 0, 0] = 1  # the noise of a camera in the dark is not made a picture
    assert all(normalise_clips(dark, norm).abs().max() < 2 for norm in get_args(ClipNorm))


def test_still_picture_and_motion_weigh_the_same():
    """However faint the motion is, and whoever moves."""
    person = torch.randint(0, 200, (2, 1, 8, 8, 3), dtype=torch.uint8).expand(2, 4, 8, 8, 3).clone()
    person[:, 0, 2:4] += 9
    person[1, 0, 2:4] += 36
    clips = normalise_clips(person, "parts")
    still = clips.mean(2, keepdim=True)
    motion = clips - still
    for part in (still, motion):
        assert torch.allclose(part.std((1, 2, 3, 4), correction=0), torch.ones(2), atol=1e-4)
    assert torch.allclose(motion[0], motion[1], atol=1e-4)
    person[:, 0] = person[:, 1]
    unmoved = normalise_clips(person, "parts")
    assert torch.allclose(unmoved, unmoved[:, :, :1].expand_as(unmoved)) and torch.isfinite(unmoved).all()


def test_batches_are_of_nearly_equal_size():
    sizes = [len(part) for part in batches(np.arange(33), 16)]
    assert sizes == [11, 11, 11]


def test_a_batch_is_the_stores_own_bytes(tmp_path):
    """Nothing is copied and nothing written over: a batch stays what it is while others are read and used."""
    one, other = (written(moving_dots(seed=seed), tmp_path / f"{seed}") for seed in (0, 1))
    clips = Clips([(one, np.array([5, 2, 7])), (other, np.array([4]))], one.classes)
    chosen, places = [3, 0, 1], [(other, 4), (one, 5), (one, 2)]
    files = [(store.path / "frames.npy").read_bytes() for store in (one, other)]
    frames, landmarks, targets = clips.batch(np.array(chosen), CPU)
    for k, (store, row) in enumerate(places):
        assert np.array_equal(frames[k], store.frames[row]) and np.shares_memory(frames[k].numpy(), store.frames)
        assert np.array_equal(landmarks[k], store.landmarks[row]) and one.classes[targets[k]] == store.labels[row]
    together = torch.stack(frames)
    for norm in get_args(ClipNorm):
        assert torch.equal(normalise_clips(frames, norm), normalise_clips(together, norm))
        normalise_clips(clips.batch(np.array([1, 2]), CPU)[0], norm)
    assert torch.equal(torch.stack(frames), together)
    assert files == [(store.path / "frames.npy").read_bytes() for store in (one, other)]


def test_another_process_opens_the_stores_itself(tmp_path):
    store = written(moving_dots(), tmp_path / "dots")
    clips = Clips([(store, np.array([5, 2, 7]))], ("anger", *store.classes[1:]))
    again = Clips.from_locations(clips.locations, clips.classes)
    for ours, theirs in zip(again.batch(np.arange(3), CPU), clips.batch(np.arange(3), CPU), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    part = dataclasses.replace(store, manifest=store.manifest[:9], frames=store.frames[:9])
    for other in (part, dataclasses.replace(store, metadata={**store.metadata, "fingerprint": "another"})):
        with pytest.raises(InputError, match="is not the store that it was"):
            Clips.from_locations(Clips([(other, np.arange(3))], store.classes).locations, store.classes)
