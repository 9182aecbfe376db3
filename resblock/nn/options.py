"""What `ResidualLSTM` takes for its options: what `torch.nn.LSTM` takes, where it has them."""

from __future__ import annotations

from typing import Any

from resblock.ops import OUTPUT_PEEPHOLES


def check_options(
    *, sizes: dict[str, Any], flags: dict[str, Any], dropout: Any, output_peephole: Any, checkpoint_chunks: Any
) -> None:
    """Refuse those out of their range, and numbers given where a flag is wanted.

    Parameters
    ----------
    sizes, flags
        By their names.

    Raises
    ------
    TypeError
        If a size is no int, or a flag no bool.
    ValueError
        If a value is out of its range.
    """
    for name, size in sizes.items():
        if not isinstance(size, int):
            raise TypeError(f"{name} is {size!r}, expected an int")
        if size < 1:
            raise ValueError(f"{name} is {size}, expected at least 1")
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise TypeError(f"{name} is {flag!r}, expected True or False")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise ValueError(f"dropout is {dropout!r}, expected a probability from 0 to 1")
    if output_peephole not in OUTPUT_PEEPHOLES:
        raise ValueError(f"output_peephole is {output_peephole!r}, expected 'current' or 'previous'")
    if isinstance(checkpoint_chunks, bool) or not isinstance(checkpoint_chunks, int):
        raise TypeError(f"checkpoint_chunks is {checkpoint_chunks!r}, expected an int")
    if checkpoint_chunks < 0:
        raise ValueError(f"checkpoint_chunks is {checkpoint_chunks}, expected 0 (save everything) or more")
