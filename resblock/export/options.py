"""What can be chosen of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from resblock.errors import InputError
from resblock.pairs.tables import ROLES, Role

#: What restraints are made of, where a program takes both.
FORMS: Final = ("residues", "pairs")
#: Pairs that are exported, and residues that a binder is designed for, unless `top` says otherwise.
PAIRS: Final = 10
HOTSPOTS: Final = 6


@dataclass(frozen=True)
class Options:
    """Choices of an export."""

    top: int | None = None
    """Residues of each partner, or pairs; by default the marked ones, `PAIRS`, or `HOTSPOTS`."""
    form: str = "residues"
    """Restraints of residues or of pairs, for Boltz, Chai and Protenix."""
    target: Role = "receptor"
    """The partner that a binder is designed for."""

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise InputError(f"--top is {self.top}; it must be at least 1")
        if self.form not in FORMS:
            raise InputError(f"--form is {self.form!r}; choose {' or '.join(FORMS)}")
        if self.target not in ROLES:
            raise InputError(f"--target is {self.target!r}; choose {' or '.join(ROLES)}")
