"""Side-chain pKa as predicted by PROPKA 3 from the structure of one partner."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Final

import numpy as np
import propka.run
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure.geometry import pairs_within
from resblock.structure.partner import Partner
from resblock.structure.propka_neighbours import neighbour_search
from resblock.structure.scales import BACKBONE_ATOMS, MODEL_PKA, SIDE_CHAIN_ATOMS

#: With a neighbour search, too, parts of PROPKA grow with the square of the size: 7 s at 2,000 residues. Beyond this
#: many the model pKa is used for every residue (`notes` says so).
MAX_RESIDUES: Final = 2_500

#: PROPKA follows bonds, which it takes from distances, ten atoms deep: where this many atoms have this many others
#: within a bond's length, that never ends. No atom of a protein has more than four.
_BOND, _CROWDED_NEIGHBOURS, _CROWDED_ATOMS = 2.0, 6, 10

#: Selenium takes the place of sulphur in these.
_RENAMED_ATOMS: Final = {("MSE", "SE"): "SD", ("SEC", "SE"): "SG"}


def model_pka(partner: Partner) -> NDArray[np.float64]:
    """(N,) side-chain pKa of the residue type in water; NaN where it does not titrate."""
    return np.array([MODEL_PKA.get(r.parent, np.nan) for r in partner.residues])


def is_beyond(partner: Partner) -> str:
    """Why PROPKA is not asked about a partner: it would take hours; empty where it is."""
    if len(partner) > MAX_RESIDUES:
        return f"{len(partner)} residues, more than {MAX_RESIDUES}"
    neighbours = np.bincount(pairs_within(partner.frame, _BOND).ravel(), minlength=len(partner.atom_names))
    crowded = np.flatnonzero(neighbours >= _CROWDED_NEIGHBOURS)
    if len(crowded) < _CROWDED_ATOMS:
        return ""
    first = partner.residues[partner.atom_residue[crowded[0]]]
    return f"{len(crowded)} atoms lie on others ({first}, ...)"


def propka_pka(partner: Partner) -> NDArray[np.float64]:
    """(N,) side-chain pKa predicted by PROPKA 3.

    NaN where the residue does not titrate, by type or because it is held otherwise (a cysteine in
    a disulphide bridge). The model pKa where PROPKA cannot tell, because the side chain's atoms are
    missing, and everywhere in partners that it `is_beyond`.

    Raises
    ------
    InputError
        The geometry is impossible.
    """
    pka = model_pka(partner)
    if is_beyond(partner):
        return pka
    text = io.StringIO(_pdb_text(partner))
    try:
        with _silence(), neighbour_search():
            molecule = propka.run.single("partner.pdb", optargs=["--quiet"], stream=text, write_pka=False)
    # PROPKA checks nothing: on impossible geometry it fails wherever it happens to.
    except Exception as error:
        raise InputError(
            f"{partner.path}: PROPKA cannot make sense of the geometry ({error!r}); look for misplaced atoms"
        ) from error
    for group in molecule.conformations["AVR"].groups:
        if group.residue_type in MODEL_PKA:
            # A cysteine in a disulphide bridge is not, and has 99.99 for its pKa.
            pka[group.atom.res_num - 1] = group.pka_value if group.titratable else np.nan
    return pka


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """PROPKA reports every missing atom; what a user should know is in `notes`."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _pdb_text(partner: Partner) -> str:
    """The partner as PROPKA reads it best.

    In the canonical frame, because PROPKA places hydrogens along the axes; as many decimals as the
    columns hold; residues numbered from 1 through all chains, because PROPKA ignores insertion codes
    and so takes 52 and 52A for one; modified residues as their parents; TER only between chains,
    because each one makes an N-terminus.
    """
    lines = []
    chain = partner.residues[0].chain
    atoms = zip(partner.atom_residue, partner.atom_names, partner.frame, strict=True)
    for serial, (k, name, position) in enumerate(atoms):
        residue = partner.residues[k]
        if residue.chain != chain:
            lines.append("TER")
            chain = residue.chain
        atom = _RENAMED_ATOMS.get((residue.name, name), name)
        if atom not in (*BACKBONE_ATOMS, "OXT", *SIDE_CHAIN_ATOMS.get(residue.parent, ())):
            continue
        columns = "".join(f"{value:.7f}"[:8] for value in position)
        lines.append(
            f"ATOM  {serial % 99_999 + 1:5d}  {atom:<3s} {residue.parent:3s} A{k + 1:4d}    {columns}  1.00  0.00"
        )
    return "\n".join([*lines, "END", ""])
