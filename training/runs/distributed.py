"""The processes that train one model together, as torchrun starts them, and the device of this one.

A single process is a group of one, so other modules need no special case. This module knows tensors, and does not know
models.
"""

import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from app.errors import NagayomiError

T = TypeVar("T")
CPU = torch.device("cpu")

# Files that Python, torch and the tokens keep open, and sockets of each peer for gradients and for the store.
OPEN_FILES = 256
OPEN_FILES_PER_PROCESS = 16


class TooFewFiles(NagayomiError):
    """The system allows fewer open files than the run will need."""


@dataclass(frozen=True)
class Processes:
    """This process's rank among `size`, and the device of its tensors."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def is_first(self) -> bool:
        """Whether this process shows progress and writes the folder."""
        return self.rank == 0

    def uses_bf16(self, autocast: str) -> bool:
        """Whether matrix products use bf16; "auto" depends on the device."""
        if autocast != "auto":
            return autocast == "bf16"
        if self.device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        return cpu_has_bf16()

    def sum_of(self, value: float) -> float:
        """A number, summed over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return float(total)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes, in one exchange.

        All processes must have gradients for the same parameters, which is true when they run the same model.
        """
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.reshape(gradient.shape))

    def from_first(self, value: T) -> T:
        """The first process's `value`, in all processes; the values of the others are ignored."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def agree_on(self, value: str) -> bool:
        """Whether every process has the same value."""
        if self.size == 1:
            return True
        values: list[str] = [""] * self.size
        dist.all_gather_object(values, value)
        return len(set(values)) == 1


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU multiplies matrices in bf16 faster than in fp32: AMX or AVX-512 BF16, as Linux names them."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return "amx_bf16" in flags or "avx512_bf16" in flags


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes of torchrun, or be the only one. With GPUs, each process takes one."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    raise_open_file_limit(size)
    if size == 1:
        yield Processes(device=device)
        return
    # This module of torch has the group of its first import among its default arguments, and the optimiser imports it.
    # If that were our group, it would outlive its destruction, and its threads would abort the process at exit when
    # they free a tensor (pytorch/pytorch#190489).
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def raise_open_file_limit(processes: int) -> None:
    """Raise this process's limit of open files to the maximum that the system allows.

    Raises:
        TooFewFiles: the maximum is too low for a run of this many processes. It fails now, not after a day of training.
    """
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    needed = OPEN_FILES + OPEN_FILES_PER_PROCESS * processes
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    if allowed < needed:
        raise TooFewFiles(
            f"The system allows {allowed} open files and a run of {processes} processes needs {needed}: raise the hard "
            f"limit (ulimit -Hn {needed}, or LimitNOFILE= of a systemd unit)."
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
