"""What the subcommands share: the two streams, a progress bar, and the missing extras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from resblock.errors import InputError

#: Results.
output = Console(highlight=False, soft_wrap=True)
#: Progress and remarks.
remarks = Console(stderr=True, highlight=False, soft_wrap=True)


def progress_bar() -> Progress:
    """A bar on stderr that leaves nothing behind; invisible where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=remarks,
        transient=True,
        disable=not remarks.is_terminal,
    )


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import what an extra of the package brings.

    Raises
    ------
    InputError
        If it is not installed; the message says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "resblock":
            raise
        raise InputError(f"{error.name} is not installed; run: pip install 'resblock[{name}]'") from None


def numbers(text: str, what: str = "seeds") -> list[int]:
    """Different whole numbers with commas between them, as in ``--seeds 1,2,3``.

    Raises
    ------
    InputError
        If it is anything else.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise InputError(f"{what} {text!r}: write different whole numbers with commas between them")
    return [int(word) for word in words]
