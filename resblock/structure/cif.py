"""mmCIF text to a table of atoms: any subset of the columns of atom_site that tells residues and places.

Dictionary: https://mmcif.wwpdb.org. Author's names (auth_) are taken where the file has them, else its own (label_).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure.assembly import assemblies_of_mmcif
from resblock.structure.names import one_letter, parent_residue
from resblock.structure.table import AtomTable, StructureFile

#: The values of one column of a category, or None where the file lacks it; unknown ones are empty.
Column = Callable[[str], "NDArray[np.str_] | None"]
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,9}")
#: Beyond it nothing is left of a place's decimals.
_LARGEST: Final = 1e12
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?(\([0-9]+\))?")


def read_mmcif(path: str, text: str) -> StructureFile:
    """Read an mmCIF file.

    Raises
    ------
    InputError
        There are no atoms, a value is damaged, or several data blocks have chains of one name.
    """
    try:
        # CIF is ASCII; what names of authors hold besides does not matter, and in names of residues a backslash does.
        document = gemmi.cif.read_string(text.encode("ascii", "backslashreplace").decode())
    # gemmi raises whatever its parser met.
    except (RuntimeError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: damaged mmCIF file ({reason}); copy or download it again") from None
    blocks = [block for block in document if block.find_values("_atom_site.Cartn_x")]
    if not blocks:
        raise InputError(f"{path}: no atoms found (no _atom_site); is this the whole file?")
    return joined_blocks(
        path, [block.name for block in blocks], [read_block(path, _columns_of(block)) for block in blocks]
    )


def _columns_of(block: gemmi.cif.Block) -> Column:
    def column(tag: str) -> NDArray[np.str_] | None:
        values = block.find_values(tag)
        if not values:
            return None
        return np.array(["" if gemmi.cif.is_null(value) else gemmi.cif.as_string(value) for value in values])

    return column


def read_block(path: str, column: Column) -> StructureFile:
    """One data block, whose columns are asked for by their tags."""
    remarks = []

    def site(*names: str) -> NDArray[np.str_] | None:
        """The first column that the file has; where its values are empty, those of the next."""
        found = [values for name in names if (values := column(f"_atom_site.{name}")) is not None]
        if not found:
            return None
        result = found[0]
        for other in found[1:]:
            result = np.where(result == "", other, result)
        return result

    def required(*names: str) -> NDArray[np.str_]:
        values = site(*names)
        if values is None:
            raise InputError(f"{path}: atom_site has no {names[0]}; write the file with it")
        return values

    atom = required("auth_atom_id", "label_atom_id")
    count = len(atom)
    if not count:
        raise InputError(f"{path}: no atoms found (an empty _atom_site); is this the whole file?")

    def optional(default: str, *names: str) -> NDArray[np.str_]:
        values = site(*names)
        return np.full(count, default) if values is None else np.where(values == "", default, values)

    by_label = column("_atom_site.auth_asym_id") is None and column("_atom_site.label_asym_id") is not None
    if by_label:
        remarks.append("chains are named by label_asym_id: the file has no names of the author's")
    group = optional("ATOM", "group_PDB")
    numbers = required("auth_seq_id", "label_seq_id")
    sequence_place = optional("", "label_seq_id")
    atoms = AtomTable(
        line=np.arange(1, count + 1),
        model=_integers(path, "pdbx_PDB_model_num", optional("1", "pdbx_PDB_model_num")),
        chain=optional("", "auth_asym_id", "label_asym_id"),
        subchain=optional("", "label_asym_id", "auth_asym_id"),
        number=_integers(path, "auth_seq_id", np.where(numbers == "", "0", numbers)),
        insertion_code=optional("", "pdbx_PDB_ins_code"),
        name=required("auth_comp_id", "label_comp_id"),
        hetero=group == "HETATM",
        polymer=(sequence_place != "") if (sequence_place != "").any() else group == "ATOM",
        atom=atom,
        element=np.char.upper(optional("", "type_symbol")),
        alternative=optional("", "label_alt_id"),
        occupancy=_floats(path, "occupancy", optional("1", "occupancy")),
        b_factor=_floats(path, "B_iso_or_equiv", optional("0", "B_iso_or_equiv")),
        xyz=np.column_stack([_floats(path, f"Cartn_{axis}", required(f"Cartn_{axis}")) for axis in "xyz"]),
    )
    return StructureFile(
        path,
        "mmcif",
        atoms,
        _sequences(column, by_label),
        _is_predicted(column),
        tuple(remarks),
        assemblies_of_mmcif(column),
    )


def _integers(path: str, name: str, written: NDArray[np.str_]) -> NDArray[np.int64]:
    values = {word: int(word) for word in np.unique(written).tolist() if _INTEGER.fullmatch(word)}
    return np.array([values[word] if word in values else _refuse(path, name, row, word)
                     for row, word in enumerate(written.tolist())], dtype=np.int64)  # fmt: skip


def _floats(path: str, name: str, written: NDArray[np.str_]) -> NDArray[np.float64]:
    for row, word in enumerate(written.tolist()):
        if not _NUMBER.fullmatch(word):
            _refuse(path, name, row, word)
    values = np.array([word.partition("(")[0] for word in written.tolist()], dtype=np.float64)
    beyond = np.flatnonzero(np.abs(values) > _LARGEST)
    if len(beyond):
        _refuse(path, name, int(beyond[0]), str(written[beyond[0]]))
    return values


def _refuse(path: str, name: str, row: int, word: str) -> Any:
    found = repr(word) if word else "nothing"
    raise InputError(
        f"{path}: atom_site row {row + 1}: {name} is {found}, not a number that can stand there; repair the row"
    )


def joined_blocks(path: str, names: Sequence[str], parts: Sequence[StructureFile]) -> StructureFile:
    """The atoms of all data blocks, as one program writes several objects."""
    if len(parts) == 1:
        return parts[0]
    chains = [set(part.atoms.chain.tolist()) for part in parts]
    if sum(map(len, chains)) > len(set.union(*chains)):
        raise InputError(
            f"{path}: data blocks {', '.join(names)} have chains of the same names; save the one that is meant in a "
            "file of its own"
        )
    sequences: dict[str, str] = {}
    for part in parts:
        sequences |= part.sequences
    return StructureFile(
        path,
        "mmcif",
        AtomTable.joined([part.atoms for part in parts]),
        sequences,
        confidence=all(part.confidence for part in parts),
        remarks=(
            f"data blocks {', '.join(names)} read together",
            *dict.fromkeys(remark for part in parts for remark in part.remarks),
        ),
    )


def _sequences(column: Column, by_label: bool) -> Mapping[str, str]:
    """Sequences by the names that the chains have: of pdbx_poly_seq_scheme, else of entity_poly."""
    names = ("asym_id" if by_label else "pdb_strand_id", "seq_id", "mon_id")
    scheme = [column(f"_pdbx_poly_seq_scheme.{name}") for name in names]
    if any(values is None for values in scheme):
        return {} if by_label else _entity_sequences(column)
    # The first counts where a place has two kinds of residue (microheterogeneity).
    found: dict[str, dict[str, str]] = {}
    for chain, place, name in zip(*scheme, strict=False):
        found.setdefault(str(chain), {}).setdefault(str(place), one_letter(parent_residue(str(name))))
    return {chain: "".join(letters.values()) for chain, letters in found.items()}


def _entity_sequences(column: Column) -> Mapping[str, str]:
    """Sequences of entity_poly, where modified residues stand as their parents."""
    strands, sequences = column("_entity_poly.pdbx_strand_id"), column("_entity_poly.pdbx_seq_one_letter_code_can")
    if strands is None or sequences is None:
        return {}
    return {
        chain.strip(): "".join(sequence.split())
        for chains, sequence in zip(strands.tolist(), sequences.tolist(), strict=False)
        for chain in chains.split(",")
    }


def _is_predicted(column: Column) -> bool:
    """Whether the file says that its model comes with pLDDT (ModelCIF's quality metrics)."""
    kinds = [column(f"_ma_qa_metric.{name}") for name in ("type", "name")]
    words = " ".join(" ".join(values.tolist()) for values in kinds if values is not None)
    return "plddt" in words.lower()
