"""Several processes on one batch, and still the result of one.

Gradients are averaged by PyTorch's DDP. What else looks at the whole batch must be told about
the other processes' shares: batch normalisation takes the mean and the variance of all clips, and
dropout draws for all clips and keeps its own. Then the number of processes changes nothing but
rounding. That grows from step to step, slowly without normalisation, fast with it: there weights
agree closely for the first few steps and later only in kind, as two seeds do. On GPUs PyTorch's own
`SyncBatchNorm` counts all clips; it refuses the CPU.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def see_the_whole_batch(network: nn.Module, device: torch.device) -> None:
    """Let batch normalisation and dropout count the clips of all processes; names and weights stay as they are."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = nn.SyncBatchNorm if device.type == "cuda" else _BatchNormOfAll
            module.process_group = None  # type: ignore[assignment]
        elif isinstance(module, nn.Dropout):
            module.__class__ = _DropoutOfAll


class _BatchNormOfAll(_BatchNorm):
    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x, axes = input.float(), [axis for axis in range(input.ndim) if axis != 1]
        shape = [1, -1] + [1] * (input.ndim - 2)
        count = _sum(x.new_tensor(input.numel() / input.shape[1]))
        mean = _sum(x.sum(axes)) / count
        centred = x - mean.view(shape)
        variance = _sum(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr, arg-type]
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)  # type: ignore[union-attr, arg-type]
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)


class _SumOfAll(torch.autograd.Function):
    """The sum over the processes; each one's share of it has the gradients of all."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        total = mine.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, mine: Tensor) -> Tensor:
        return _SumOfAll.forward(ctx, mine)


def _sum(mine: Tensor) -> Tensor:
    return _SumOfAll.apply(mine)


class _DropoutOfAll(nn.Dropout):
    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        shares = torch.zeros(distributed.get_world_size(), dtype=torch.long, device=input.device)
        shares[distributed.get_rank()] = len(input)
        distributed.all_reduce(shares)
        first = int(shares[: distributed.get_rank()].sum())
        # As the batch lies in one process, for the order of the draws follows it.
        shape = (int(shares.sum()), *input.shape[1:])
        whole = input.new_zeros(()).new_empty_strided(shape, input.stride()).zero_()
        mine = slice(first, first + len(input))
        kept = super().forward(whole + 1)[mine]
        return input * kept
