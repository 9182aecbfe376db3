"""`resblock doctor`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from rich.markup import escape
from rich.table import Table

from resblock.cli.console import output

_PACKAGES: Final = ("torch", "numpy", "biopython", "voronotalt", "propka", "safetensors")
_TRAINING_PACKAGES: Final = ("lightning", "tensorboard")
_ABSENT_TRAINING: Final = "not installed; for training: pip install 'resblock[train]'"


def doctor() -> None:
    """Show versions, the instruction set and kernels in use, whether the GPU can be used, and where caches are."""
    import torch

    from resblock import __version__, ops
    from resblock.files import cache_directory
    from resblock.models import load_ensemble

    table = Table(show_header=False)
    table.add_column("what")
    table.add_column("found", overflow="fold")
    rows = [
        ("resblock", __version__),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *((package, _version(package)) for package in _PACKAGES),
        *((package, _version(package, _ABSENT_TRAINING)) for package in _TRAINING_PACKAGES),
        ("CPU instruction set", ops.instruction_set()),
        ("CPU threads", str(torch.get_num_threads())),
        ("CPU schedules", ", ".join(ops.schedules("cpu"))),
        ("CUDA schedules", ", ".join(ops.schedules("cuda")) or "kernels not compiled in (RESBLOCK_CUDA)"),
        ("GPU", _gpu()),
        ("included weights", _weights(load_ensemble().card)),
        ("feature cache", str(cache_directory())),
    ]
    for what, found in rows:
        table.add_row(what, escape(found))
    output.print(table)


def _version(package: str, absent: str = "not installed") -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return absent


def _gpu() -> str:
    import torch

    from resblock import ResidualLSTM, ops

    if not torch.cuda.is_available():
        return "none that torch can use"
    name = torch.cuda.get_device_name()
    if not ops.has_cuda_kernels():
        return f"{name}, not used: no CUDA kernels"
    lstm, steps = ResidualLSTM(18, 8, 4), torch.linspace(-1, 1, 9 * 18).view(9, 1, 18)
    try:
        with torch.inference_mode():
            expected = lstm(steps)[0]
            found = lstm.cuda()(steps.cuda())[0].cpu()
    except RuntimeError as error:
        return f"{name}, cannot run the kernels: {' '.join(str(error).split())}"
    right = torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
    return f"{name}, kernels run and agree with the CPU" if right else f"{name}, kernels give WRONG results"


def _weights(card: dict[str, object]) -> str:
    complexes = card.get("complexes")
    if not isinstance(complexes, dict):
        return "without a card"
    return ", ".join(f"{part} on {len(codes)} complexes" for part, codes in complexes.items() if codes)
