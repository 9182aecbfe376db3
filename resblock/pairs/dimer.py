"""A dimer ready for the network: two partners' residues and features, and what is known of contacts."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure.backbone import backbone
from resblock.structure.features import feature_names, residue_features
from resblock.structure.files import write_atomically
from resblock.structure.frame import canonical_frame
from resblock.structure.read import Partner, Residue, one_letter

#: Raise it whenever the meaning of a stored array changes.
FORMAT_VERSION: Final = 3

#: What reading a damaged archive raises.
_DAMAGED: Final = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    RuntimeError,  # of an entry marked as encrypted, or packed in an unknown way
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class DimerPartner:
    """Receptor or ligand: N residues of the unbound structure and what the network sees of them.

    Attributes
    ----------
    residues
        N residues under the author's numbering.
    features
        (N, F) float32, raw; NaN where a residue does not titrate.
    linked
        (N,) bool, whether a residue is bonded to the one before it.
    surface
        (N,) bool, whether any of the residue is accessible to solvent (AESA > 0).
    centres
        (N, 3) float32, mean heavy-atom position, Angstrom, in the partner's own canonical frame: it
        tells which residues of one partner are near each other, and nothing of the other partner.
    sides
        (N, 3) float32, unit vectors from C-alpha to the ideal C-beta in the same frame; zero where
        the backbone is incomplete.
    """

    residues: tuple[Residue, ...]
    features: NDArray[np.float32]
    linked: NDArray[np.bool_]
    surface: NDArray[np.bool_]
    centres: NDArray[np.float32]
    sides: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.residues)

    @property
    def chains(self) -> tuple[str, ...]:
        """Chain names in order."""
        return tuple(dict.fromkeys(residue.chain for residue in self.residues))

    @property
    def sequence(self) -> str:
        """One-letter codes of all residues; X for an unknown type."""
        return "".join(one_letter(residue.parent) for residue in self.residues)

    @classmethod
    def from_structure(cls, partner: Partner, features: str = "paper") -> DimerPartner:
        """Features of a partner read from its unbound structure."""
        table = residue_features(partner, features)
        accessible = table[:, feature_names(features).index("AESA")]
        size = len(partner.residues)
        count = np.bincount(partner.atom_residue, minlength=size)
        centres = np.column_stack(
            [np.bincount(partner.atom_residue, axis, size) / count for axis in canonical_frame(partner.coordinates).T]
        )
        return cls(
            residues=partner.residues,
            features=table.astype(np.float32),
            linked=partner.linked,
            surface=accessible > 0.0,
            centres=centres.astype(np.float32),
            sides=backbone(partner).side.astype(np.float32),
        )


@dataclass(frozen=True)
class Dimer:
    """Two partners and, where the complex is known, the contacts between their residues.

    Attributes
    ----------
    code
        Name of the complex.
    receptor, ligand
        Partners of n and m residues.
    feature_names
        Names of the F feature columns.
    contact_area
        (n, m) float32, square Angstrom: contact area of each residue pair in the bound complex;
        None if the complex is not known.
    distance
        (n, m) float32, Angstrom: smallest heavy-atom distance in the bound complex; NaN where a
        residue has no bound counterpart; None if the complex is not known.
    lost_contacts
        Contacts of the bound complex whose residues have no unbound counterpart.
    key
        Tells by content which input this was prepared from; empty if it was not prepared.
    """

    code: str
    receptor: DimerPartner
    ligand: DimerPartner
    feature_names: tuple[str, ...]
    contact_area: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None
    lost_contacts: int = 0
    key: str = ""

    @property
    def is_dimer(self) -> bool:
        """Whether each partner is a single chain."""
        return len(self.receptor.chains) == 1 and len(self.ligand.chains) == 1

    def surface_pairs(self) -> NDArray[np.int64]:
        """(P, 2) receptor and ligand index of every pair of surface residues, row by row."""
        receptor = np.flatnonzero(self.receptor.surface)
        ligand = np.flatnonzero(self.ligand.surface)
        return np.stack(np.meshgrid(receptor, ligand, indexing="ij"), axis=-1).reshape(-1, 2)

    def labels(self) -> NDArray[np.bool_]:
        """(P,) whether each of `surface_pairs` is an interface pair (contact area above zero).

        Raises
        ------
        InputError
            The bound complex is not known.
        """
        if self.contact_area is None:
            raise InputError(f"{self.code}: no contacts known; prepare it with the bound complex")
        interface = self.contact_area[np.ix_(self.receptor.surface, self.ligand.surface)] > 0.0
        return np.asarray(interface.reshape(-1))

    def with_features(self, names: Sequence[str]) -> Dimer:
        """Keep these feature columns, in this order.

        Raises
        ------
        InputError
            If the dimer lacks one.
        """
        if self.feature_names == tuple(names):
            return self
        missing = [name for name in names if name not in self.feature_names]
        if missing:
            # The widest set: what it lacks, no other has.
            raise InputError(f"{self.code}: prepared without {missing[0]}; run `resblock prepare --features extended`")
        columns = [self.feature_names.index(name) for name in names]
        receptor, ligand = (replace(side, features=side.features[:, columns]) for side in (self.receptor, self.ligand))
        return replace(self, receptor=receptor, ligand=ligand, feature_names=tuple(names))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a ``.npz`` file without pickle, all or nothing."""
        arrays: dict[str, Any] = {
            "format_version": np.int64(FORMAT_VERSION),
            "key": np.str_(self.key),
            "code": np.str_(self.code),
            "feature_names": np.array(self.feature_names, dtype=np.str_),
            "lost_contacts": np.int64(self.lost_contacts),
            "contact_area": _UNKNOWN if self.contact_area is None else self.contact_area,
            "distance": _UNKNOWN if self.distance is None else self.distance,
        }
        for side, partner in (("receptor", self.receptor), ("ligand", self.ligand)):
            arrays |= {f"{side}_{name}": value for name, value in _partner_arrays(partner).items()}
        write_atomically(path, lambda stream: np.savez_compressed(stream, **arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Dimer:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file is missing, damaged, of another kind or of another format version.
        """
        with _open(path) as arrays:
            return cls(
                code=str(arrays["code"]),
                receptor=_partner_from(arrays, "receptor"),
                ligand=_partner_from(arrays, "ligand"),
                feature_names=tuple(arrays["feature_names"].tolist()),
                contact_area=_known(arrays["contact_area"]),
                distance=_known(arrays["distance"]),
                lost_contacts=int(arrays["lost_contacts"]),
                key=str(arrays["key"]),
            )


def stored_key(path: str | os.PathLike[str]) -> str | None:
    """Key of a prepared dimer without reading the rest; None if there is no usable file."""
    try:
        with _open(path) as arrays:
            return str(arrays["key"])
    except InputError:
        return None


def load_dimers(
    directory: str | os.PathLike[str], codes: Sequence[str] | None = None, features: Sequence[str] | None = None
) -> list[Dimer]:
    """Prepared dimers of a directory, sorted by code, or those of `codes` in that order.

    Parameters
    ----------
    directory : path
    codes : sequence of str, optional
    features : sequence of str, optional
        Names of the columns to keep; all without.

    Raises
    ------
    InputError
        The directory, a dimer or a column is missing, or a file is unusable.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; run `resblock prepare` first")
    if codes is None:
        paths = sorted(directory.glob("*.npz"))
        if not paths:
            raise InputError(f"{directory}: no prepared dimers; run `resblock prepare` first")
    else:
        paths = [directory / f"{code}.npz" for code in codes]
        for code, path in zip(codes, paths, strict=True):
            if not path.is_file():
                raise InputError(f"{directory}: no prepared dimer {code}; run `resblock prepare`")
    dimers = map(Dimer.load, paths)
    return list(dimers) if features is None else [dimer.with_features(features) for dimer in dimers]


@contextlib.contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The archive's arrays, each read when asked for; what goes wrong meanwhile is the file's fault."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("not an .npz archive")
        with archive:
            version = int(archive["format_version"])
            if version != FORMAT_VERSION:
                raise ValueError(f"format version {version}, this program reads {FORMAT_VERSION}")
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except _DAMAGED as error:
        reason = error.args[0] if isinstance(error, KeyError) else error  # KeyError puts quotes around it
        raise InputError(f"{path}: not a usable prepared dimer ({reason}); run `resblock prepare`") from None


#: Stands for a pair table that is not known: were it left out, a damaged file could pass for one without.
_UNKNOWN: Final = np.empty((0, 0), dtype=np.float32)


def _known(table: NDArray[np.float32]) -> NDArray[np.float32] | None:
    return table if table.size else None


_RESIDUE_FIELDS: Final = ("chain", "number", "insertion_code", "name", "parent")


def _partner_arrays(partner: DimerPartner) -> dict[str, NDArray[Any]]:
    residues = partner.residues
    return {
        "chain": np.array([r.chain for r in residues], dtype=np.str_),
        "number": np.array([r.number for r in residues], dtype=np.int64),
        "insertion_code": np.array([r.insertion_code for r in residues], dtype=np.str_),
        "name": np.array([r.name for r in residues], dtype=np.str_),
        "parent": np.array([r.parent for r in residues], dtype=np.str_),
        "features": partner.features,
        "linked": partner.linked,
        "surface": partner.surface,
        "centres": partner.centres,
        "sides": partner.sides,
    }


def _partner_from(arrays: Mapping[str, NDArray[Any]], side: str) -> DimerPartner:
    columns = [arrays[f"{side}_{field}"].tolist() for field in _RESIDUE_FIELDS]
    return DimerPartner(
        residues=tuple(Residue(*values) for values in zip(*columns, strict=True)),
        features=arrays[f"{side}_features"],
        linked=arrays[f"{side}_linked"],
        surface=arrays[f"{side}_surface"],
        centres=arrays[f"{side}_centres"],
        sides=arrays[f"{side}_sides"],
    )
