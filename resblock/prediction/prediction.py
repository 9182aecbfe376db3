"""A prediction, and everything that a person or a program is handed of it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from resblock import export, report
from resblock.errors import InputError
from resblock.models import Calibration, interface_log_odds, probability
from resblock.pairs.expectations import Expectations
from resblock.pairs.labels import label_pairs
from resblock.pairs.patches import with_patches
from resblock.pairs.tables import ROLES, Patch, RankedPair, Results, Role, ScoredResidue, Side
from resblock.prediction import stored
from resblock.prediction.marking import Marking, marking
from resblock.prediction.ranking import Ranking
from resblock.structure import Partner, partner_of, read_file

if TYPE_CHECKING:
    import pandas

#: Pairs in pairs.csv unless more are asked for: what a spreadsheet still opens.
MAX_TABLE: Final = 200_000


@dataclass(frozen=True)
class Prediction:
    """Two partners and how likely their residues touch; nothing in it needs weights.

    Attributes
    ----------
    receptor, ligand : Partner
        As read.
    candidates : two int64 arrays, shape (n,) and (m,)
        Places of the surface residues whose pairs are ranked.
    areas : two float32 arrays, shape (N,) and (M,)
        Area of every residue that is accessible to solvent, square Angstrom.
    log_odds : ndarray, shape (n, m)
        float32, of each pair of candidates to touch.
    notes : tuple of str
        What in the files may have cost accuracy.
    expectations : Expectations or None
        What out-of-fold dimers tell of such a prediction, where the weights hold it.
    diverse : bool
        Whether likely pairs that lie apart come first.
    cutoff : str or None
        Which residues are marked, as `resblock.prediction.marking.marking` takes it.
    command, weights, trained_on, version
        How it was made.
    truth : ndarray of bool, shape (n, m), or None
        Whether each pair touches in the known complex.
    seconds : dict
        Wall time of each stage; not saved.
    """

    receptor: Partner
    ligand: Partner
    candidates: tuple[NDArray[np.int64], NDArray[np.int64]]
    areas: tuple[NDArray[np.float32], NDArray[np.float32]]
    log_odds: NDArray[np.float32]
    notes: tuple[str, ...] = ()
    expectations: Expectations | None = None
    diverse: bool = False
    cutoff: str | None = None
    command: str = ""
    weights: str = ""
    trained_on: int = 0
    version: str = ""
    truth: NDArray[np.bool_] | None = None
    seconds: dict[str, float] = field(default_factory=dict, compare=False)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Prediction:
        """Read what `save` wrote into a directory.

        Raises
        ------
        InputError
            If it holds no usable prediction.
        """
        if not os.path.isdir(directory):
            raise InputError(f"{os.fspath(directory)}: no such directory; give the --out of resblock predict")
        return cls(**stored.read_prediction(Path(directory) / stored.FILE))

    @cached_property
    def ranking(self) -> Ranking:
        """All pairs, best first."""
        centres = None
        if self.diverse:
            receptor, ligand = (
                partner.centres[places].astype(np.float32)
                for partner, places in zip(self._partners, self.candidates, strict=True)
            )
            centres = receptor, ligand
        return Ranking(
            (self.receptor.residues, self.ligand.residues), self.candidates, self.log_odds, centres, self.truth
        )

    @cached_property
    def results(self) -> Results:
        """Everything that reports and exports read."""
        scores = probability(self.log_odds)
        rule = marking(self.cutoff, self.expectations)
        receptor, ligand = (self._side(k, rule) for k in range(2))
        whole = np.zeros((len(self.receptor), len(self.ligand)), dtype=np.float32)
        whole[np.ix_(*self.candidates)] = scores
        receptor, ligand = with_patches(receptor, ligand, whole)
        return Results(
            receptor=receptor,
            ligand=ligand,
            pairs=self.ranking,
            candidates=self.candidates,
            scores=scores,
            marking=rule.words,
            expectations=self.expectations,
            command=self.command,
            weights=self.weights,
            trained_on=self.trained_on,
            version=self.version,
            notes=self.notes,
            truth=self.truth,
        )

    def pairs(self, top: int | None = None) -> list[RankedPair]:
        """The `top` pairs, or all of them, best first."""
        return self.ranking[:top]

    def residues(self, partner: Role | None = None) -> list[ScoredResidue]:
        """Residues of one partner or of both, in the order of the files."""
        return [one for side in self._sides(partner) for one in side.residues]

    def patches(self, partner: Role | None = None) -> list[Patch]:
        """Patches of marked residues of one partner or of both, the likeliest of each first."""
        return [one for side in self._sides(partner) for one in side.patches]

    def with_cutoff(self, cutoff: str | None) -> Prediction:
        """The same prediction with other residues marked.

        Raises
        ------
        InputError
            As `resblock.prediction.marking.marking`.
        """
        marking(cutoff, self.expectations)
        return dataclasses.replace(self, cutoff=cutoff)

    def to_pandas(self, table: str = "pairs") -> pandas.DataFrame:
        """One table, ``"pairs"``, ``"residues"`` or ``"patches"``, with the columns of its CSV file.

        Raises
        ------
        InputError
            If pandas is not installed, or there is no such table.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise InputError("pandas is not installed; run: pip install pandas") from None
        columns, rows = report.table(self.results, table)
        return pandas.DataFrame(rows, columns=columns)

    def export(
        self,
        format: str,
        directory: str | os.PathLike[str],
        *,
        top: int | None = None,
        form: str = "residues",
        target: Role = "receptor",
    ) -> list[Path]:
        """Write what another program reads into a directory; gives the files.

        Parameters
        ----------
        format : str
            One of `resblock.export.FORMATS`.
        directory : path
            Made if missing.
        top : int, optional
            Residues of each partner, or pairs; by default those marked, 10 pairs, or 6 hotspots.
        form : str
            ``"residues"`` or ``"pairs"``, for Boltz, Chai and Protenix.
        target : {"receptor", "ligand"}
            What a binder is designed for.

        Raises
        ------
        InputError
            If there is no such format, or it cannot hold the partners.
        """
        return export.export(self.results, format, Path(directory), export.Options(top, form, target))

    def report(self, path: str | os.PathLike[str], viewer_js: str | os.PathLike[str] | None = None) -> list[str]:
        """Write the report as one HTML page; gives remarks about it.

        Parameters
        ----------
        path : path
        viewer_js : path, optional
            A file of 3Dmol.js to embed.

        Raises
        ------
        InputError
            If that is another file.
        """
        return report.write_page(Path(path), self.results, viewer_js)

    def with_truth(
        self,
        complex: str | os.PathLike[str],
        receptor_chains: Sequence[str] | None = None,
        ligand_chains: Sequence[str] | None = None,
    ) -> Prediction:
        """The same prediction with what is true, from the bound complex.

        Parameters
        ----------
        complex : path
            Structure file of the complex.
        receptor_chains, ligand_chains : sequence of str, optional
            Its chains that are the partners; by default those named as here.

        Raises
        ------
        InputError
            If the file or a chain cannot be used, or its residues are not those of the partners.
        """
        chosen = receptor_chains or self.receptor.chains, ligand_chains or self.ligand.chains
        names = [[chain or "_" for chain in chains] for chains in chosen]
        if set(names[0]) & set(names[1]):
            raise InputError(
                f"{os.fspath(complex)}: receptor and ligand share a chain; say which chain is which partner"
            )
        file = read_file(complex)
        bound = [partner_of(file, chains) for chains in names]
        labels = label_pairs(self.receptor, self.ligand, bound[0], bound[1])
        if np.isnan(labels.distance).all():
            raise InputError(f"{os.fspath(complex)}: has none of the partners' residues; is this their complex?")
        return dataclasses.replace(self, truth=labels.contact_area[np.ix_(*self.candidates)] > 0)

    def save(self, directory: str | os.PathLike[str], top: int | None = None, *, all_pairs: bool = False) -> list[Path]:
        """Write log-odds, tables, structures, the viewers' scripts and summary.json into a directory.

        Files are written in place: for all or nothing, give a temporary directory and rename it.

        Parameters
        ----------
        directory : path
            Made if missing.
        top : int, optional
            Pairs in pairs.csv; up to `MAX_TABLE` by default.
        all_pairs : bool
            Write pairs.parquet with every pair, too.

        Returns
        -------
        list of Path
            The files written.

        Raises
        ------
        ImportError
            If pyarrow is not installed, for all pairs.
        """
        target = Path(directory)
        target.mkdir(parents=True, exist_ok=True)
        stored.write_prediction(target / stored.FILE, self)
        blocks = self.ranking.blocks() if all_pairs else None
        return report.write_report(target, self.results, MAX_TABLE if top is None else top, all_pairs=blocks)

    def _repr_html_(self) -> str:
        return report.notebook_html(self.results)

    @property
    def _partners(self) -> tuple[Partner, Partner]:
        return self.receptor, self.ligand

    def _sides(self, role: Role | None) -> Sequence[Side]:
        if role is not None and role not in ROLES:
            raise InputError(f"partner {role!r}; choose receptor or ligand")
        return [side for side in self.results.sides if role in (None, side.role)]

    def _side(self, k: int, rule: Marking) -> Side:
        """One partner with its residues' probabilities, not yet with patches."""
        partner, places = self._partners[k], self.candidates[k]
        told = self.expectations
        calibration = Calibration() if told is None else Calibration(told.residue_scale, told.residue_shift)
        own = probability(calibration(interface_log_odds(self.log_odds)[k].astype(np.float32)))
        size = len(partner)
        probabilities, best, marked = np.zeros(size), np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.bool_)
        probabilities[places], best[places], marked[places] = own, probability(self.log_odds.max(axis=1 - k)), rule(own)
        rank: dict[int, int] = {
            int(places[place]): rank for rank, place in enumerate(np.argsort(-own, kind="stable").tolist(), start=1)
        }
        inside: dict[int, bool] = {}
        if self.truth is not None:
            inside = dict(zip(places.tolist(), np.any(self.truth, axis=1 - k).tolist(), strict=True))
        residues = tuple(
            ScoredResidue(
                partner=ROLES[k],
                index=index,
                residue=residue,
                probability=float(probabilities[index]),
                best_score=float(best[index]),
                rank=rank.get(index),
                marked=bool(marked[index]),
                patch=None,
                area=float(self.areas[k][index]),
                plddt=None if partner.plddt is None else float(partner.plddt[index]),
                glycan=partner.glycosylated is not None and bool(partner.glycosylated[index]),
                in_interface=inside.get(index),
            )
            for index, residue in enumerate(partner.residues)
        )
        return Side(ROLES[k], partner, residues, ())
