"""A partner as another program is given it: which chains, numbers and sequence it has there."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from resblock.errors import InputError
from resblock.pairs.tables import Results, ScoredResidue, Side
from resblock.structure import Partner, Residue
from resblock.structure.names import one_letter
from resblock.structure.write import pdb_text

_LETTERS: Final = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Given:
    """One partner under the names and numbers that a program takes.

    Attributes
    ----------
    side : Side
        As predicted, under the author's.
    residues : tuple of Residue
        Each of the N residues under its new chain and number.
    """

    side: Side
    residues: tuple[Residue, ...]

    @property
    def renamed(self) -> bool:
        """Whether any chain or number is not the author's."""
        return self.residues != self.side.partner.residues

    def pdb(self) -> str:
        """The structure, with 100 x the probability of each residue as B-factor."""
        return pdb_text(dataclasses.replace(self.side.partner, residues=self.residues), 100 * self.side.probabilities)

    def marked(self, top: int | None) -> list[Residue]:
        """The marked residues, or the `top` likeliest, in the order of the structure."""
        return [self.residues[one.index] for one in sorted(likeliest(self.side, top), key=lambda one: one.index)]


def likeliest(side: Side, top: int | None) -> list[ScoredResidue]:
    """The marked residues, or the `top` likeliest candidates, the likeliest first.

    Raises
    ------
    InputError
        If there is none.
    """
    found = side.marked
    if top is not None:
        ranked = [one for one in side.residues if one.rank is not None and one.rank <= top]
        found = sorted(ranked, key=lambda one: one.rank or 0)
    if not found:
        raise InputError(f"no residue of the {side.role} is marked; give another --cutoff or --top")
    return found


def as_pdb(results: Results, *, one_chain: bool = False, insertion_codes: bool = False) -> tuple[Given, Given]:
    """Both partners with chains of one letter, which differ between the two, and numbers from 1 to 9999.

    The author's are taken wherever they will do.

    Parameters
    ----------
    results : Results
    one_chain : bool
        Make one chain of each partner.
    insertion_codes : bool
        Whether the program takes them; where it does not, a chain that has some is numbered from 1 on.

    Raises
    ------
    InputError
        If there are more chains than letters, or a partner is too long.
    """
    wanted = [side.partner.chains[:1] if one_chain else side.partner.chains for side in results.sides]
    letters = iter(_letters([chain for chains in wanted for chain in chains]))
    named = [{chain: next(letters) for chain in chains} for chains in wanted]
    first, second = (
        _given(side, names, one_chain, insertion_codes) for side, names in zip(results.sides, named, strict=True)
    )
    return first, second


def _given(side: Side, names: dict[str, str], one_chain: bool, insertion_codes: bool) -> Given:
    partner = side.partner
    only = next(iter(names.values()))
    residues: list[Residue] = []
    for chain in partner.chains:
        own = [residue for residue in partner.residues if residue.chain == chain]
        anew = (one_chain and len(partner.chains) > 1) or not _plain_numbers(own, insertion_codes)
        offset = len(residues) if one_chain else 0
        residues += [
            dataclasses.replace(
                residue,
                chain=names.get(chain, only),
                number=offset + place if anew else residue.number,
                insertion_code="" if anew else residue.insertion_code,
            )
            for place, residue in enumerate(own, start=1)
        ]
    if max(residue.number for residue in residues) > 9999:
        raise InputError(f"{partner.path}: more residues than a PDB file numbers; choose the chains that matter")
    return Given(side, tuple(residues))


def _letters(chains: Collection[str]) -> list[str]:
    """One letter or digit for each chain: its own name where that is one and the first of it, else one that is free.

    Names that differ in their case alone count as one: some programs do not tell them apart.
    """
    own = [chain.upper() if len(chain) == 1 and chain.upper() in _LETTERS else "" for chain in chains]
    own = [letter if letter not in own[:place] else "" for place, letter in enumerate(own)]
    free = iter([letter for letter in _LETTERS if letter not in own])
    named = [letter or next(free, "") for letter in own]
    if "" in named:
        raise InputError(f"more than the {len(_LETTERS)} chains that one letter names; choose the chains that matter")
    return named


def _plain_numbers(residues: Collection[Residue], insertion_codes: bool) -> bool:
    numbers = [residue.number for residue in residues]
    coded = not insertion_codes and any(residue.insertion_code for residue in residues)
    return min(numbers) >= 1 and max(numbers) <= 9999 and not coded


@dataclass(frozen=True)
class Sequence:
    """One chain as a sequence.

    Attributes
    ----------
    letter : str
        Its name in the program.
    text : str
        One-letter codes: the whole sequence where the file states it and all residues have a place there, else that of
        the residues observed.
    stated : bool
        Which of the two it is.
    side : Side
    places : dict of int to int
        From a residue's index to its place in the text, from 1.
    """

    letter: str
    text: str
    stated: bool
    side: Side
    places: dict[int, int]


def sequences(results: Results) -> list[Sequence]:
    """All chains, the receptor's first, named A, B, ... in this order."""
    letters = iter(string.ascii_uppercase)
    return [chain for side in results.sides for chain in _sequences(side, letters)]


def _sequences(side: Side, letters: Iterator[str]) -> list[Sequence]:
    partner: Partner = side.partner
    made = []
    for number, chain in enumerate(partner.chains):
        letter = next(letters, None)
        if letter is None:
            raise InputError("more than the 26 chains that one letter names; choose the chains that matter")
        own = [index for index, residue in enumerate(partner.residues) if residue.chain == chain]
        text, placed = partner.sequence[number], partner.sequence_index[own]
        stated = bool(text) and bool((placed >= 0).all())
        if stated:
            places = {index: int(place) + 1 for index, place in zip(own, placed, strict=True)}
        else:
            text = "".join(one_letter(partner.residues[index].parent) for index in own)
            places = {index: place for place, index in enumerate(own, start=1)}
        made.append(Sequence(letter, text, stated, side, places))
    return made
