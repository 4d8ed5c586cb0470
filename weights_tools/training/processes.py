"""Several training processes: torchrun's or our own, with averaged gradients."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor


class Group:
    """The processes of a run; with one process everything here is the identity."""

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank = rank
        self.size = size
        self.device = device or torch.device("cpu")

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace float32 tensors by their means over the processes, in one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        offset = 0
        for tensor in tensors:
            tensor.copy_(flat[offset : offset + tensor.numel()].view(tensor.shape))
            offset += tensor.numel()

    def mean(self, value: float) -> float:
        """Mean of a number over the processes."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return float(tensor) / self.size

    def from_first(self, values: Sequence[float]) -> list[float]:
        """The numbers that process 0 has."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return [float(v) for v in tensor]

    def gather(self, item: object) -> list[object]:
        """The items of all processes, in order of rank, on every process."""
        if self.size == 1:
            return [item]
        items: list[object] = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.size > 1:
            dist.barrier()


def fill_gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of all parameters, zeros where a batch gave none: processes must exchange alike tensors."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _device(local_rank: int, name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        index = local_rank % torch.cuda.device_count()
        torch.cuda.set_device(index)
        return torch.device("cuda", index)
    return torch.device(name)


def _join(work: Callable[[Group], None], rank: int, size: int, local_rank: int, device: str) -> None:
    where = _device(local_rank, device)
    if where.type == "cpu":
        threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or max(1, (os.cpu_count() or 1) // size)
        torch.set_num_threads(threads)
    if size > 1:
        # NCCL refuses processes that share a GPU
        local = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        alone = where.type == "cuda" and local <= torch.cuda.device_count()
        dist.init_process_group("nccl" if alone else "gloo", rank=rank, world_size=size)
    try:
        work(Group(rank, size, where))
    finally:
        if size > 1:
            dist.destroy_process_group()


def _spawned(rank: int, work: Callable[[Group], None], size: int, port: int, device: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    _join(work, rank, size, rank, device)


def run_processes(work: Callable[[Group], None], processes: int = 1, device: str = "auto") -> None:
    """Call ``work`` in every process of the run.

    Under torchrun (``WORLD_SIZE`` is set) this process is one of them; else ``processes`` are started here.
    ``work`` must be picklable if there is more than one.
    """
    if "WORLD_SIZE" in os.environ:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        _join(work, rank, size, int(os.environ.get("LOCAL_RANK", "0")), device)
    elif processes == 1:
        _join(work, 0, 1, 0, device)
    else:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        _spawn(work, processes, port, device)


def _spawn(work: Callable[[Group], None], processes: int, port: int, device: str) -> None:
    """Start processes and wait for them; SIGTERM and SIGINT are passed on, so that all end alike."""
    context = torch.multiprocessing.start_processes(  # type: ignore[attr-defined]
        _spawned, (work, processes, port, device), processes, join=False, start_method="spawn"
    )

    def forward(number: int, frame: FrameType | None) -> None:
        for pid in context.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    old = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not context.join():
            pass
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
