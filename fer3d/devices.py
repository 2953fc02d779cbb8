"""What this machine computes best with: asked, never assumed."""

from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_precision(device: torch.device | str) -> Precision:
    """``bf16`` where the processor itself computes in it (AVX-512 BF16, AMX or an Ampere GPU on), else ``fp32``.

    PyTorch runs bf16 everywhere; without such instructions it converts, and is slower than in fp32.
    """
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"
