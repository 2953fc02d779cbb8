"""The loop by itself: its rates, what it draws, its steps."""

import contextlib
import copy
import dataclasses
import itertools
import time

import numpy as np
import pytest
import torch
from augmented import augment
from dots import PROFILE, moving_dots, with_network
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from fer3d.config import TrainingSettings
from fer3d.model.network import Network
from fer3d.training import devices
from fer3d.training.augment import moves
from fer3d.training.batches import Clips, network_input, normalise_clips
from fer3d.training.loop import StreamLogits, Trainer, balanced_weights, log_row, optimiser, train_one_step
from fer3d.training.schedule import Epoch, epochs, learning_rate


def test_learning_rate_warms_up_and_falls_to_nothing():
    settings = TrainingSettings(lr=0.1)
    rates = [learning_rate(step, 100, 10, settings) for step in range(100)]
    assert rates[:3] == pytest.approx([0.01, 0.02, 0.03])
    assert max(rates) == rates[9] == rates[10] == 0.1
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[99] < 1e-3
    constant = dataclasses.replace(settings, schedule="constant")
    assert learning_rate(99, 100, 0, constant) == learning_rate(0, 100, 0, constant) == 0.1


def test_every_epoch_continues_the_rates_and_draws_anew():
    settings = TrainingSettings(epochs=4, batch_size=5, warmup_epochs=1.5)
    planned = list(epochs(0, 20, settings))
    rates = [rate for epoch in planned for rate in epoch.rates]
    assert rates == [learning_rate(step, 16, 6, settings) for step in range(16)]
    for one, other in itertools.combinations(planned, 2):
        assert not torch.equal(one.augment_params, other.augment_params)
        assert not np.array_equal(np.concatenate(one.batches), np.concatenate(other.batches))
    for epoch in planned:
        assert sorted(np.concatenate(epoch.batches)) == list(range(20))


def test_the_optimiser_is_the_one_of_the_settings():
    settings = TrainingSettings(lr=0.3, momentum=0.8, weight_decay=0.2, nesterov=False)
    for chosen in (settings, dataclasses.replace(settings, nesterov=True)):
        layer = torch.nn.Linear(1, 1, bias=False)
        sgd = optimiser(layer, chosen)
        weight, momentum = layer.weight.item(), 0.0
        for _ in range(2):  # by hand, the gradient being 1
            layer.weight.grad = torch.ones(1, 1)
            sgd.step()
            gradient = 1 + 0.2 * weight
            momentum = 0.8 * momentum + gradient
            weight -= 0.3 * (gradient + 0.8 * momentum if chosen.nesterov else momentum)
        assert layer.weight.item() == pytest.approx(weight)


def set_up(network, clips, settings):
    fabric = devices.single_process_fabric("cpu", settings.precision)
    return Trainer(fabric, network, optimiser(network, settings), clips, settings)


def test_a_step_follows_the_gradient_of_its_own_batch():
    store, settings = moving_dots(), dataclasses.replace(PROFILE.training, precision="fp32")
    clips = Clips([(store, np.arange(16))], store.classes)
    network = Network(with_network(dropout=0.0).network, store.classes, store.settings.size)
    params = torch.rand(16, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    trainer = set_up(network, clips, settings)
    for batch in (np.arange(8), np.arange(8, 16)):
        before = copy.deepcopy(network)
        loss, correct = train_one_step(trainer, batch, params)
        frames, landmarks, targets = clips.batch(batch, trainer.fabric.device)
        pictures = normalise_clips(frames, settings.clip_norm)
        pictures, landmarks = augment(pictures, landmarks, settings, params[batch])
        logits = before(network_input(pictures), landmarks)
        mean = functional.cross_entropy(logits, targets)
        mean.backward()
        for ours, theirs in zip(network.parameters(), before.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
        assert loss.item() == pytest.approx(8 * mean.item()) and correct == (logits.argmax(1) == targets).sum()


def test_a_step_in_parts_takes_the_gradient_of_the_whole_batch():
    """Without batch normalisation, which sees each part by itself."""
    store, settings = moving_dots(), dataclasses.replace(PROFILE.training, precision="fp32")
    clips, plan = Clips([(store, np.arange(16))], store.classes), Epoch.plan(0, 16, settings)
    network = Network(with_network(dropout=0.0, norm="none").network, store.classes, store.settings.size)
    found = []
    for parts in (1, 3):
        one = copy.deepcopy(network)
        trainer = set_up(one, clips, dataclasses.replace(settings, accumulate=parts))
        totals = train_one_step(trainer, plan.batches[0], plan.augment_params)
        found.append(torch.cat([totals, *(parameter.grad.flatten() for parameter in one.parameters())]))
    assert torch.allclose(*found, rtol=1e-3, atol=1e-6)


def test_balanced_weights_give_every_class_the_same_part_of_the_loss():
    store = moving_dots(names=("anger", "anger", "anger", "fear"))
    clips = Clips([(store, np.arange(len(store)))], store.classes)
    weights, counts = balanced_weights(clips), torch.bincount(clips.targets, minlength=len(store.classes))
    parts = (weights * counts)[counts > 0]
    assert torch.allclose(parts, parts.mean()) and parts.sum().item() == pytest.approx(len(clips))
    assert (weights[counts == 0] == 0).all()
    settings = dataclasses.replace(PROFILE.training, precision="fp32")
    network = Network(with_network(dropout=0.0).network, store.classes, store.settings.size)
    plan, losses = Epoch.plan(0, len(clips), settings), []
    for chosen in ("none", "balanced"):
        trainer = set_up(copy.deepcopy(network), clips, dataclasses.replace(settings, class_weights=chosen))
        losses.append(train_one_step(trainer, plan.batches[0], plan.augment_params)[0].item())
    assert losses[0] != losses[1]


def test_each_stream_learns_by_itself():
    store, settings = moving_dots(), dataclasses.replace(PROFILE.training, precision="fp32")
    clips = Clips([(store, np.arange(8))], store.classes)
    network = Network(with_network(dropout=0.0, landmark_stream=True).network, store.classes, store.settings.size)
    alone = Network(with_network(dropout=0.0).network, store.classes, store.settings.size)
    alone.load_state_dict(network.state_dict(), strict=False)
    both, only = (
        train_one_step(set_up(some, clips, settings), np.arange(8), torch.zeros(8, 5)) for some in (network, alone)
    )
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(network.get_parameter(name).grad, parameter.grad)
    assert both[0] > only[0]
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.landmark_stream.parameters())


def test_the_log_has_means_over_clips():
    row = log_row(Epoch.plan(1, 20, TrainingSettings()), torch.tensor([30.0, 5.0]), time.perf_counter())
    assert (row["epoch"], row["loss"], row["train_accuracy"]) == (2, 1.5, 0.25)


class FullSizeFloats(TorchDispatchMode):
    """Counts the operations that read or write floats of at least ``size`` values; those that change the view don't."""

    def __init__(self, size):
        super().__init__()
        self.size, self.passes = size, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        tensors = [value for value in (*args, result) if isinstance(value, torch.Tensor)]
        large = any(tensor.is_floating_point() and tensor.numel() >= self.size for tensor in tensors)
        self.passes += large and not operation.is_view and "empty" not in str(operation)
        return result


@pytest.mark.parametrize(("clip_norm", "passes"), [("parts", 8), ("whole", 7), ("none", 5)])
def test_bytes_reach_the_network_as_bf16_channels_last_in_few_passes_over_the_floats(clip_norm, passes):
    network, seen = Network(PROFILE.network, ("fear", "anger"), 32), []

    class ReachedError(Exception):
        pass

    def stop(_, inputs):
        seen.append(inputs[0])
        raise ReachedError

    network.stem.register_forward_pre_hook(stop)
    frames = [torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8) for _ in range(6)]
    places = moves(torch.zeros(6, 5), 32, PROFILE.training)
    count = FullSizeFloats(6 * 4 * 32 * 32 * 3)
    with torch.autocast("cpu", torch.bfloat16), count, contextlib.suppress(ReachedError):
        StreamLogits(network, clip_norm)(frames, torch.zeros(6, 4, 66, 2), places.theta)
    assert count.passes == passes
    assert seen[0].dtype == torch.bfloat16 and seen[0].is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("clip_norm", ["parts", "whole", "none"])
def test_a_whole_step_stays_on_the_device_of_its_clips(clip_norm, monkeypatch):
    """Traced on PyTorch's meta device, which refuses tensors of any other, as a GPU does."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # which the meta device lacks
    meta, profile = torch.device("meta"), with_network(landmark_stream=True)
    network = Network(profile.network, ("fear", "anger"), 32).to(meta)
    frames = [torch.empty(4, 32, 32, 3, dtype=torch.uint8, device=meta)] * 6
    landmarks, targets = torch.empty(6, 4, 66, 2, device=meta), torch.empty(6, dtype=torch.long, device=meta)
    moved = augment(normalise_clips(frames, clip_norm), landmarks, profile.training, torch.zeros(6, 5))
    streams = network.stream_logits(*moved)
    loss = functional.cross_entropy(streams.flatten(0, 1), targets.repeat(len(streams)))
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert {tensor.device for tensor in (*moved, streams, loss, *gradients)} == {meta}
