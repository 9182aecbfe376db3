"""What is timed, beside whom, and how fast it should be."""

from __future__ import annotations

import dataclasses

INPUTS = 18

OURS = "resblock"
TORCH = "torch.nn.LSTM"
ONNX = "onnxruntime"
JAX = "jax.lax.scan"


@dataclasses.dataclass(frozen=True)
class Size:
    """A network, its input, and whether gradients are computed."""

    layers: int
    units: int
    batch: int
    steps: int
    training: bool = False

    @property
    def cells(self) -> int:
        """Layers x steps x sequences."""
        return self.layers * self.steps * self.batch

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the matrix products: the backward pass has twice as many as the forward pass."""
        forward = 4 * self.units * (INPUTS + self.units + (self.layers - 1) * 2 * self.units) * self.steps * self.batch
        return 3 * forward if self.training else forward

    def __str__(self) -> str:
        kind = "training step" if self.training else "forward"
        return f"{kind}, L {self.layers}, H {self.units}, B {self.batch:,}, T {self.steps:,}"


@dataclasses.dataclass(frozen=True)
class Participant:
    """Who runs a size, and on how many threads."""

    peer: str
    threads: int = 1
    dtype: str = "float32"
    schedule: str = ""
    """What our operator is asked for; by default the planner's choice."""

    def __str__(self) -> str:
        return f"{self.peer}, {self.threads} thread{'s' * (self.threads > 1)}"


@dataclasses.dataclass(frozen=True)
class Target:
    """The peer's time over ours on `threads` threads: at least `floor`, at best `goal`.

    A peer runs on as many threads as it is fastest with.
    """

    threads: int
    peer: Participant
    floor: float
    goal: float | None = None


@dataclasses.dataclass(frozen=True)
class Workload:
    """A row of the table: its letter, a name of its own, its size, and what is asked of it."""

    row: str
    name: str
    size: Size
    targets: tuple[Target, ...]

    def participants(self, threads: list[int]) -> list[Participant]:
        """All that is to be timed in turns where `threads` are the numbers of threads at hand."""
        targets = [t for t in self.targets if max(t.threads, t.peer.threads) <= max(threads)]
        ours = [Participant(OURS, count) for count in threads]
        return list(dict.fromkeys([*ours, *(t.peer for t in targets)]))


_torch, _torch_2, _onnx, _jax = Participant(TORCH), Participant(TORCH, 2), Participant(ONNX), Participant(JAX)

_long = (
    Target(1, _torch, 18, 21),
    Target(1, _onnx, 10, 11.5),
    Target(2, _torch, 30, 38),
    Target(2, _onnx, 16, 20),
)

WORKLOADS = (
    Workload("A", "A-10000", Size(60, 8, 1, 10_000), _long),
    Workload("A", "A-40000", Size(60, 8, 1, 40_000), _long),
    Workload("S", "S", Size(60, 8, 27_904, 9), (Target(1, _torch, 7, 9), Target(2, _torch_2, 8, 10))),
    Workload(
        "R", "R", Size(60, 8, 128, 9, True), (Target(1, _torch, 8, 10), Target(1, _jax, 1), Target(2, _torch, 12, 17))
    ),
    Workload(
        "R2",
        "R2",
        Size(60, 8, 8, 1_000, True),
        (Target(1, _torch, 9, 12), Target(1, _jax, 1), Target(2, _torch, 16, 22)),
    ),
    Workload("M", "M-16", Size(60, 16, 1, 10_000), (Target(1, _onnx, 4), Target(2, Participant(OURS), 1.7))),
    Workload("M", "M-32", Size(60, 32, 1, 10_000), (Target(1, _onnx, 2), Target(2, Participant(OURS), 1.7))),
    Workload("W", "W-forward", Size(2, 256, 64, 128), (Target(1, _torch, 1.0), Target(2, _torch_2, 1.0))),
    Workload("W", "W-training", Size(2, 256, 64, 128, True), (Target(1, _torch, 1.2), Target(2, _torch_2, 1.2))),
)

#: A training step's forward and backward, in turn with an optimizer's step and another network.
AMID_WORK = (Workload("R", "R", Size(60, 8, 128, 9, True), (Target(1, _torch, 9), Target(2, _torch, 14))),)
#: The same beside peers that keep their pages: glibc gives none back to the system between calls.
KEPT_PAGES = (
    Workload("S", "S", Size(60, 8, 27_904, 9), (Target(1, _torch, 1), Target(2, _torch_2, 1))),
    Workload("R", "R", Size(60, 8, 128, 9, True), (Target(1, _torch, 1), Target(2, _torch, 1))),
    Workload("W", "W-forward", Size(2, 256, 64, 128), (Target(1, _torch, 1), Target(2, _torch_2, 1))),
    Workload("W", "W-training", Size(2, 256, 64, 128, True), (Target(1, _torch, 1.3), Target(2, _torch_2, 1.3))),
)
KEEP_PAGES = {"MALLOC_TRIM_THRESHOLD_": str(8 << 30), "MALLOC_MMAP_THRESHOLD_": str(8 << 30)}

HALF_FLOOR = 0.8  # speed of bfloat16 and float16 over float32
HALF_WORKLOADS = ("A-10000", "S", "R", "W-forward", "W-training")
OVERHEAD_LIMIT = 1.5  # our time over torch.nn.LSTM's where there is next to nothing to compute
OVERHEAD_SIZE = Size(2, 8, 1, 1)
GRID_FLOOR = 0.9
FORWARD_MEMORY_LIMIT, TRAINING_MEMORY_LIMIT = 32, 128  # MiB
MEMORY_SIZE = Size(60, 8, 1, 40_000)
CHECKPOINT_CHUNKS = 32

# Every schedule is timed on each of these; S has a part of its sequences, which all take the same time.
SCHEDULE_SIZES = (
    Size(60, 8, 1, 2_000),
    Size(60, 8, 2_048, 9),
    Size(60, 8, 128, 9, True),
    Size(60, 8, 8, 200, True),
    Size(60, 16, 1, 1_000),
    Size(60, 32, 1, 1_000),
    Size(2, 256, 64, 32),
    Size(2, 256, 64, 32, True),
)

# A penalty on the gradient by the input, which is differentiated once more.
PENALTY_SIZES = tuple(
    Size(layers, units, batch, steps, True)
    for layers, units in ((1, 128), (4, 8), (2, 64), (1, 256))
    for batch, steps in ((4, 20), (32, 20), (4, 100), (32, 100))
)
PENALTY_LIMIT = 1.2  # our time over torch.nn.LSTM's

# Sequences that begin anew within a call, at each step with this probability. The first is the LSTM of CleanRL's PPO:
# 8 environments of 128 steps.
RESET_SIZES = (
    *((Size(1, 128, 8, 128, True), p) for p in (0.005, 0.02, 0.2)),
    (Size(1, 128, 8, 128), 0.02),
    (Size(1, 128, 64, 128, True), 0.02),
    (Size(2, 256, 16, 64, True), 0.02),
    (Size(4, 8, 32, 100, True), 0.02),
    (Size(1, 64, 1, 10_000, True), 0.05),
    (Size(8, 8, 1, 10_000), 0.05),
)
CELL_SIZES = (
    Size(1, 128, 8, 128),
    Size(1, 128, 8, 128, True),
    Size(60, 8, 128, 9, True),
    Size(2, 256, 64, 32, True),
    Size(8, 8, 1, 2_000),
)
#: Sequences of unequal lengths, drawn so that they fill a batch to this part; the last batch has one of 4,000 steps
#: beside 255 of 20.
RAGGED_SIZES = tuple(
    (size, fill)
    for size in (Size(60, 8, 256, 32), Size(60, 8, 256, 32, True), Size(2, 64, 256, 100, True), Size(2, 256, 128, 64))
    for fill in (0.1, 0.3, 0.6)
)
OUTLIER = Size(2, 64, 256, 4_000)
RAGGED_LIMIT = 1.15, 0.05  # of the full batch's time: this times the fill, and this
LENGTHS, FULL = "resblock, lengths", "resblock, full batch"

EXPORT_SIZES = (Size(60, 8, 1, 5_000), Size(60, 8, 2_048, 9), Size(2, 256, 64, 32))
EXPORTED = "resblock, exported"
EXPORT_LIMIT = 1.05  # time of an exported program over that of the module

#: One step of one sequence, its state carried from call to call.
STREAMING_SIZES = tuple(
    Size(layers, units, 1, 1) for layers, units in ((1, 64), (1, 256), (2, 128), (2, 512), (4, 256), (60, 8))
)

#: Ours without resets or cells, on the same input.
PLAIN = "resblock, without"
#: How torch.nn.LSTM is run where sequences begin anew: see episodes.py.
STEP_BY_STEP, SPLIT, PIECES = "nn.LSTM step by step", "nn.LSTM split at resets", "nn.LSTM on packed pieces"

GRID_LAYERS = (1, 2, 8, 60)
GRID_UNITS = (1, 3, 8, 16, 32, 64, 128, 512)
GRID_BATCHES = (1, 4, 16, 64, 512)
GRID_STEPS = (1, 8, 64, 512, 4_096)
GRID_SECONDS = 2.0  # of torch.nn.LSTM: larger sizes are left out


def growth() -> dict[str, list[Size]]:
    """Name the sizes along which cost is shown to grow: one letter varies, the others stay."""
    series: dict[str, list[Size]] = {}
    for training in (False, True):
        series |= {
            f"T {training}": [Size(60, 8, 1, t, training) for t in (10, 30, 100, 300, 1_000, 3_000)],
            f"L {training}": [Size(n, 8, 1, 300, training) for n in (1, 2, 4, 8, 15, 30, 60, 120)],
            f"H {training}": [Size(8, h, 1, 300, training) for h in (1, 2, 4, 8, 16, 32, 64, 128, 256)],
            f"B {training}": [Size(60, 8, b, 9, training) for b in (1, 2, 4, 8, 16, 32, 128, 512, 2_048)],
        }
    return series
