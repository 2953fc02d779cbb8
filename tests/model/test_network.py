"""The network against the paper's shapes, against a second way of computing its parts, and in use."""

import dataclasses
import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from fer3d.config import NetworkSettings, profile
from fer3d.data.landmarks import displacement
from fer3d.errors import InputError
from fer3d.model.filters import landmark_filter
from fer3d.model.layers import BatchNorm, Convolution, fuse_batchnorm, scale_channels
from fer3d.model.network import (
    STAGES,
    InceptionResnetA,
    InceptionResnetB,
    InceptionResnetC,
    LandmarkResidual,
    Network,
    ReductionA,
    ReductionB,
    grids,
)
from fer3d.model.summary import layer_table, shape_table

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt")
TINY = profile("tiny").network
VARIANTS = ("2d", "3d", "3d+landmarks")


def tiny(size=64, **changes):
    torch.manual_seed(0)
    return Network(dataclasses.replace(TINY, **changes), CLASSES, size)


def a_batch(size=64, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    clips = torch.randn(batch, 3, 10, size, size, generator=generator)
    landmarks = torch.rand(batch, 10, 66, 2, generator=generator) * size
    return clips, landmarks


# --- the paper's shapes -----------------------------------------------------------------------------


def table_of(size, **changes):
    """The table of a network that never had any numbers."""
    with torch.device("meta"):
        network = Network(NetworkSettings(**changes), CLASSES, size)
    return shape_table(network).set_index("stage")


def test_the_layers_of_figure_2_are_those_of_the_network():
    network = tiny()
    layers, stages = layer_table(network), shape_table(network).set_index("stage")
    named = [name for name, module in network.named_modules() if isinstance(module, Convolution)]
    assert len(layers[layers["kind"] != "pool"]) == len(named)
    assert layers["parameters"].sum() == stages["parameters"].drop("head").sum()
    for stage in ("stem", "block_a", "block_b", "block_c"):
        assert layers[layers["stage"] == stage]["shape"].iloc[-1] == stages.loc[stage, "shape"]
    reduction = layers[layers["stage"] == "reduction_b"].groupby("branch")["shape"].last()
    assert sum(shape[0] for shape in reduction) == stages.loc["reduction_b", "shape"][0]
    linear = layers[layers["kind"] == "linear"]
    assert list(linear["stage"]) == ["block_a", "block_b", "block_c"] and set(linear["branch"]) == {"project"}
    assert list(layers[layers["stage"] == "block_b"]["kernel"])[2:4] == [(3, 1, 7), (3, 7, 1)]
    assert set(layers[layers["padding"] == "V"]["stage"]) == {"reduction_a", "reduction_b"}
    assert {layer.stage: layer.stride for layer in layers.itertuples() if layer.padding == "V"} == {
        "reduction_a": 2, "reduction_b": 2
    }  # fmt: skip


def test_every_stage_at_full_size():
    table = table_of(299)
    expected = {  # shape, million parameters, 10^9 multiply-adds
        "stem": ((256, 10, 38, 38), 1.83, 62.0),
        "block_a": ((256, 10, 38, 38), 0.13, 1.9),
        "reduction_a": ((896, 10, 18, 18), 5.03, 28.0),
        "block_b": ((896, 10, 18, 18), 1.15, 3.7),
        "reduction_b": ((1792, 10, 8, 8), 8.65, 11.9),
        "block_c": ((1792, 10, 8, 8), 2.04, 1.3),
        "head": ((7,), 1.60, 0.0),
    }
    assert list(table.index) == list(expected)
    for stage, (shape, parameters, gmac) in expected.items():
        assert table.loc[stage, "shape"] == shape, stage
        assert table.loc[stage, "parameters"] / 1e6 == pytest.approx(parameters, abs=0.006), stage
        assert table.loc[stage, "gmac"] == pytest.approx(gmac, abs=0.06), stage
    assert table["gmac"].sum() == pytest.approx(108.9, abs=0.05)
    assert table["share"].sum() == pytest.approx(1)


def test_parameters_at_full_size_without_and_with_normalisation():
    assert table_of(299, norm="none")["parameters"].sum() == 20_432_431
    assert table_of(299, norm="head")["parameters"].sum() == 20_432_431 + 2 * 1792
    assert table_of(299)["parameters"].sum() == 20_444_031


def test_the_two_dimensional_variant_at_full_size():
    table = table_of(299, variant="2d")
    assert table["parameters"].sum() / 1e6 == pytest.approx(8.05, abs=0.01)
    assert table["gmac"].sum() == pytest.approx(40.5, abs=0.05)
    assert table.loc["block_c", "shape"] == (1792, 10, 8, 8)


@pytest.mark.parametrize("strides", [(2, 2, 2), (2, 1, 2), (1, 2, 2), (2, 2, 1), (1, 1, 1)])
def test_grids_are_those_of_the_network(strides):
    for size in (52, 63, 64, 75):
        observed = table_of(size, width=0.125, stem_strides=strides)["grid"]
        assert grids(size, strides) == tuple(observed[["block_a", "block_b", "block_c"]])


def test_channels_are_multiples_of_eight():
    assert [scale_channels(c, 1.0) for c in (32, 80, 192)] == [32, 80, 192]
    assert [scale_channels(c, 0.25) for c in (32, 64, 192)] == [8, 16, 48]
    assert scale_channels(32, 0.01) == 8


# --- the paper's equations --------------------------------------------------------------------------


def test_equation_3_by_hand():
    torch.manual_seed(0)
    residual = nn.Conv3d(4, 4, 1)
    x, w = torch.randn(2, 4, 3, 5, 5), torch.rand(2, 1, 3, 5, 5)
    unit = LandmarkResidual(residual)
    y = torch.stack([w[:, 0] * x[:, channel] + residual(x)[:, channel] for channel in range(4)], dim=1)
    torch.testing.assert_close(unit(x, w), y.clamp(min=0))
    torch.testing.assert_close(unit(x), (x + residual(x)).clamp(min=0))


def test_block_a_by_hand():
    torch.manual_seed(0)
    block = InceptionResnetA(dataclasses.replace(TINY, norm="none"), 16)
    weights = dict(block.named_parameters())
    x = torch.randn(1, 16, 4, 6, 6)

    def convolve(name, tensor, padding=0):
        return functional.conv3d(tensor, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)

    branch0 = convolve("branch0.0", x).relu()
    branch1 = convolve("branch1.1.0", convolve("branch1.0.0", x).relu(), 1).relu()
    branch2 = convolve("branch2.1.0", convolve("branch2.0.0", x).relu(), 1).relu()
    branch2 = convolve("branch2.2.0", branch2, 1).relu()
    expected = convolve("project.0", torch.cat([branch0, branch1, branch2], dim=1))
    assert (expected < 0).any()  # linear: no ReLU before the sum
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("block", "side"), [(InceptionResnetB, 7), (InceptionResnetC, 3)])
def test_blocks_b_and_c_see_a_square_through_a_row_and_a_column(block, side):
    unit = block(dataclasses.replace(TINY, norm="none"), 8)
    assert (unit(torch.randn(1, 8, 3, 11, 11)) < 0).any()  # linear: no ReLU before the sum
    for name, parameter in unit.named_parameters():
        nn.init.constant_(parameter, name.endswith("weight"))
    x = torch.zeros(1, 8, 7, 11, 11)
    x[..., 3, 5, 5] = 1
    reached, half = torch.zeros(7, 11, 11), side // 2
    reached[1:6, 5 - half : 6 + half, 5 - half : 6 + half] = 1
    assert torch.equal(unit(x)[0, 0].sign(), reached)


@pytest.mark.parametrize("block", [ReductionA, ReductionB])
def test_a_reduction_is_a_pool_and_branches_that_end_in_relu(block):
    x = torch.randn(1, 16, 4, 7, 7)
    joined = block(dataclasses.replace(TINY, norm="none"), 16)(x)
    assert torch.equal(joined[:, :16], functional.max_pool3d(x, (1, 3, 3), (1, 2, 2)))
    assert joined[:, 16:].min() == 0


@pytest.mark.parametrize("readout", ["mean", "last"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_head_by_hand(variant, readout):
    head = tiny(variant=variant, norm="none", readout=readout).head.eval()
    x = torch.randn(2, head.linear.in_features if head.lstm is None else head.lstm.input_size, 10, 3, 3)
    frames = x.mean((3, 4)).transpose(1, 2)
    states = frames if head.lstm is None else head.lstm(frames)[0]
    last = head.lstm is not None and readout == "last"
    torch.testing.assert_close(head(x), head.linear(states[:, -1] if last else states.mean(1)))


def test_the_landmark_filter_acts_in_a_and_b_and_not_in_c():
    network, received = tiny().eval(), {}
    for name in ("block_a", "block_b", "block_c"):
        network.get_submodule(name).register_forward_hook(
            lambda _module, inputs, _output, name=name: received.update({name: inputs[1:]})
        )
    clips, landmarks = a_batch()
    network(clips, landmarks)
    for name, grid in (("block_a", 16), ("block_b", 7)):
        assert torch.equal(received[name][0], landmark_filter(landmarks, 64, grid, window=3)), name
    assert received["block_c"] == ()


# --- variants and settings --------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_landmark_variant_looks_at_the_landmarks(variant):
    network = tiny(variant=variant).eval()
    clips, landmarks = a_batch()
    moved = network(clips, landmarks * 0.5)
    assert torch.equal(network(clips, landmarks), moved) == (variant != "3d+landmarks")


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_two_dimensions_forget_the_order_of_the_frames(variant):
    network = tiny(variant=variant).eval()
    clips, landmarks = a_batch()
    backwards = network(clips.flip(2), landmarks.flip(1))
    assert torch.allclose(network(clips, landmarks), backwards, atol=1e-5) == (variant == "2d")


def test_the_landmark_stream_by_hand():
    network = tiny(variant="3d", landmark_stream=True, norm="head").eval()
    clips, landmarks = a_batch()
    landmarks[0, :, 5], landmarks[1] = torch.nan, torch.nan
    streams = network.stream_logits(clips, landmarks)
    stream = network.landmark_stream
    centre, deviation = stream.norm.running_mean, (stream.norm.running_var + stream.norm.eps).sqrt()
    steps = (displacement(landmarks).flatten(2) - centre) / deviation  # a fresh norm's weight is 1, its bias 0
    torch.testing.assert_close(streams[1], stream.linear(stream.lstm(steps)[0][:, -1]))
    pictures = Network(dataclasses.replace(network.settings, landmark_stream=False), CLASSES, 64).eval()
    pictures.load_state_dict(network.state_dict(), strict=False)
    assert torch.equal(streams[0], pictures(clips, landmarks))
    torch.testing.assert_close(network(clips, landmarks), 0.4 * streams[0] + streams[1])


@pytest.mark.parametrize(("norm", "norm_parameters"), [("batch", 2 * 132), ("head", 2 * 132), ("none", 0)])
def test_the_table_lists_the_landmark_stream(norm, norm_parameters):
    table = table_of(64, norm=norm, landmark_stream=True)
    assert list(table.index) == [*STAGES, "landmark_stream"] and table["shape"]["landmark_stream"] == (7,)
    parameters = norm_parameters + 4 * 200 * (132 + 200 + 2) + 200 * 7 + 7
    assert table["parameters"]["landmark_stream"] == parameters
    assert table["gmac"]["landmark_stream"] == pytest.approx((10 * 4 * 200 * (132 + 200) + 200 * 7) / 1e9)


def test_three_dimensions_with_and_without_landmarks_share_all_weights():
    plain, masked = tiny(variant="3d"), tiny()
    plain.load_state_dict(masked.state_dict())
    clips, _ = a_batch()
    everywhere = torch.cartesian_prod(torch.arange(2.0, 64, 4), torch.arange(2.0, 64, 4)).expand(2, 10, -1, -1)
    torch.testing.assert_close(plain.eval()(clips, everywhere), masked.eval()(clips, everywhere))  # w is 1 everywhere


@pytest.mark.parametrize("changes", [{"window": 5}, {"slope": 0.3}, {"distance": "chebyshev"}, {"overlap": "sum"}])
def test_the_filter_is_the_one_of_the_settings(changes):
    _, landmarks = a_batch()
    wanted = landmark_filter(landmarks, 64, 16, **{"window": TINY.window, **changes})
    assert torch.equal(tiny(**changes).filter(landmarks, 16), wanted)
    assert not torch.equal(tiny().filter(landmarks, 16), wanted)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_is_drawn_in_training(dropout):
    network, batch = tiny(dropout=dropout, landmark_stream=True), a_batch()
    once, again = (network.stream_logits(*batch) for _ in range(2))
    assert [torch.equal(*stream) for stream in zip(once, again, strict=True)] == [dropout == 0] * 2


@pytest.mark.parametrize(("linear", "gain"), [(False, 2), (True, 1)])
def test_weights_start_as_large_as_what_follows_wants_them(linear, gain):
    weight = Convolution(TINY, 64, 64, 3, linear=linear)[0].weight
    assert weight.var().item() == pytest.approx(gain / (64 * 27), rel=0.05)


@pytest.mark.parametrize("channels", [8, 32])
def test_norms_of_several_threads_are_the_same_norms(channels):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        norms, found = (BatchNorm(channels), nn.BatchNorm3d(channels)), []
        for norm in norms:
            rows = torch.randn(2, channels, 3, 5, 4, generator=torch.Generator().manual_seed(0))
            x = rows.to(memory_format=torch.channels_last_3d).requires_grad_()
            y = norm(x)
            y.square().mul(rows).sum().backward()
            assert y.is_contiguous(memory_format=torch.channels_last_3d)
            found.append([y, x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var])
        torch.testing.assert_close(*found)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_pointwise_convolution_keeps_the_channels_last_on_one_thread(norm):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = torch.randn(2, 16, 3, 5, 4, generator=torch.Generator().manual_seed(0))
        layer = Convolution(dataclasses.replace(TINY, norm=norm), 16, 8, 1)[0]
        found = []
        for layout in (torch.contiguous_format, torch.channels_last_3d):
            x = rows.to(memory_format=layout).requires_grad_()
            y = layer(x)
            found.append([y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
            assert all(each.is_contiguous(memory_format=layout) for each in found[-1][:2])
        torch.testing.assert_close(*found)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_fused_norms_leave_the_predictions(norm):
    network = tiny(norm=norm).train()
    for seed in range(3):  # running statistics of their own
        network(*a_batch(seed=seed))
    fused = fuse_batchnorm(network)
    assert network.training and not any(isinstance(module, nn.BatchNorm3d) for module in fused.modules())
    batch = a_batch(seed=9)
    torch.testing.assert_close(fused(*batch), network.eval()(*batch), rtol=1e-4, atol=1e-5)


def test_the_forget_gate_starts_open():
    lstm = tiny(lstm_units=5).head.lstm
    assert (lstm.bias_ih_l0 + lstm.bias_hh_l0).tolist() == [0] * 5 + [1] * 5 + [0] * 10


# --- in use -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("norm", ["batch", "head", "none"])
def test_every_parameter_gets_a_finite_gradient(variant, norm):
    network = tiny(variant=variant, norm=norm)
    logits = network(*a_batch())
    assert logits.shape == (2, 7) and logits.dtype == torch.float32
    functional.cross_entropy(logits, torch.tensor([0, 3])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert norm == "batch" or parameter.grad.count_nonzero() > 0, name


def test_channels_last_and_bfloat16():
    plain = tiny().eval()
    fast = tiny().eval().to(memory_format=torch.channels_last_3d)
    clips, landmarks = a_batch()
    wanted = plain(clips, landmarks)
    torch.testing.assert_close(fast(clips, landmarks), wanted, rtol=1e-4, atol=1e-4)
    taken = {}
    for stage in STAGES[:-1]:
        fast.get_submodule(stage).register_forward_hook(
            lambda _module, _inputs, output, stage=stage: taken.update(
                {stage: (output.dtype, output.is_contiguous(memory_format=torch.channels_last_3d))}
            )
        )
    fast.head.lstm.register_forward_hook(lambda _module, inputs, _output: taken.update(lstm=inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        logits = fast(clips, landmarks)
    assert taken.pop("lstm") == logits.dtype == torch.float32
    assert taken == dict.fromkeys(STAGES[:-1], (torch.bfloat16, True))  # no stage falls back to fp32 or reorders
    torch.testing.assert_close(logits, wanted, rtol=0.1, atol=0.05)
    logits.sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.dtype == torch.float32 for p in fast.parameters())


# --- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize("strides", [(2, 2, 2), (2, 1, 2), (1, 1, 1)])
def test_too_small_an_input_names_the_smallest(strides):
    with pytest.raises(InputError, match="too small") as error:
        tiny(size=3, stem_strides=strides)
    smallest = int(re.search(r"try (\d+) or more", str(error.value))[1])
    assert table_of(smallest, width=0.125, stem_strides=strides).loc["block_c", "grid"] == 1
    with pytest.raises(InputError):
        tiny(size=smallest - 1, stem_strides=strides)


@pytest.mark.parametrize("classes", [(), ("fear",), ("fear", "fear")])
def test_classes_are_two_or_more_different_names(classes):
    with pytest.raises(InputError, match="classes"):
        Network(TINY, classes, 64)


@pytest.mark.parametrize("shape", [(1, 3, 10, 32, 32), (1, 10, 64, 64, 3), (3, 10, 64, 64)])
def test_clips_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected \\(B, 3, T, 64, 64\\)"):
        tiny()(torch.zeros(shape), torch.zeros(1, 10, 66, 2))


def test_streams_are_added_with_their_weights():
    settings = NetworkSettings(
        width=0.125,
        stem_strides=(2, 1, 2),
        landmark_stream=True,
        shape_stream=True,
        appearance_weight=0.5,
        shape_weight=3,
    )
    network = Network(settings, ("fear", "anger"), 64).eval()
    clips, landmarks = torch.rand(2, 3, 4, 64, 64), 64 * torch.rand(2, 4, 66, 2)
    pictures, motion, places = network.stream_logits(clips, landmarks)
    torch.testing.assert_close(network(clips, landmarks), 0.5 * pictures + motion + 3 * places)
    held = landmarks[:, :1].expand(-1, 4, -1, -1)
    _, still, seen = network.stream_logits(clips, held)
    torch.testing.assert_close(still[0], still[1])  # nothing moves: the same whoever it is
    assert not torch.allclose(seen[0], seen[1])
