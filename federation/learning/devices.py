"""Where a site computes: on its processor, or on a GPU that PyTorch reaches through CUDA.

The same code runs on both; who is sampled and what noise is added is drawn on the processor.
Nothing here promises equal bits on a GPU, and nothing needs them: no result is computed twice and
released twice (docs/adr/0010-where-a-site-computes.md).
"""

from typing import Literal

import torch

from federation.learning.faults import DeviceAbsent

Device = Literal["auto", "cpu", "cuda"]
AUTO: Device = "auto"
# Of the processor. With more, products are cut so that a row's last bit may depend on its place
# (see `steady`): seen with four and eight, never with one or two.
_THREADS = 2


def chosen(name: Device = AUTO) -> torch.device:
    """The device of that name; `auto` is CUDA when there is a GPU, and else the processor.

    Where it is CUDA, products of float32 are float32's own from then on in this process.

    Raises:
        DeviceAbsent: CUDA is asked for, and PyTorch finds no GPU.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise DeviceAbsent(_absent())
    if name == "cpu" or not there:
        torch.set_num_threads(min(torch.get_num_threads(), _THREADS))
        return torch.device("cpu")
    _exact()
    return torch.device("cuda")


def described(name: Device = AUTO) -> str:
    """What `chosen` would give, for people. Raises DeviceAbsent."""
    device = chosen(name)
    return f"cuda, {torch.cuda.get_device_name()}" if device.type == "cuda" else "cpu"


def _exact() -> None:
    """No TF32, which PyTorch allows in convolutions unless told otherwise.

    It keeps 10 bits of a factor. The clip is proved for float32's 23: a unit's norm and what the
    unit adds would differ by up to a thousandth, and sensitivity would not be what is charged.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def _absent() -> str:
    if torch.version.cuda is None:
        why = "this PyTorch was installed without CUDA"
    else:
        why = f"PyTorch (for CUDA {torch.version.cuda}) finds no GPU; see whether nvidia-smi does"
    return (
        f"device 'cuda' is asked for, but {why}. Install what is missing, or set "
        "machine.device to 'auto' or 'cpu' in site.toml"
    )
