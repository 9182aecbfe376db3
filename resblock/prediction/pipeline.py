"""From two structures to a prediction."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from resblock import __version__
from resblock.errors import InputError
from resblock.models import Ensemble, Progress, choose_device, load_ensemble
from resblock.pairs import Complex
from resblock.pairs.expectations import Expectations
from resblock.prediction.exclusion import exclusions, without
from resblock.prediction.marking import marking
from resblock.prediction.prediction import Prediction
from resblock.prediction.reading import Source, read_partners
from resblock.processes import worker
from resblock.structure import Partner, PartnerFeatures, notes

#: From this many residues of the smaller partner on, a second process saves more time than it takes to start: that is a
#: few tenths of a second, because the command and `resblock.structure` leave torch alone.
WORTH_A_PROCESS: Final = 500

#: Five thousand surface residues on either side: minutes of scoring.
MAX_PAIRS: Final = 25_000_000


def predict(
    receptor: Source,
    ligand: Source,
    weights: Ensemble | str | os.PathLike[str] | None = None,
    *,
    receptor_chains: Sequence[str] | None = None,
    ligand_chains: Sequence[str] | None = None,
    model: int | None = None,
    assembly: str | None = None,
    homodimer: bool = False,
    min_plddt: float | None = None,
    exclude: str | None = None,
    cutoff: str | None = None,
    diverse: bool = False,
    device: str = "auto",
    processes: int = 1,
    progress: Progress | None = None,
) -> Prediction:
    """Rank all pairs of surface residues of two unbound structures.

    Parameters
    ----------
    receptor, ligand : path, str or Partner
        A structure file, an entry such as ``1BRS:A`` or ``P11540``, or what `resblock.structure.read_partner` made of
        one. Their relative placement does not matter.
    weights : Ensemble, path or str, optional
        From `resblock.models.load_ensemble`, or what that takes; the package's default without.
    receptor_chains, ligand_chains : sequence of str, optional
        Author's chain names of a file that make the partner; all by default.
    model : int, optional
        Of files that have several; the first by default.
    assembly : str, optional
        Of files that describe biological assemblies.
    homodimer : bool
        Take one structure for both partners, which is otherwise refused as a mistake.
    min_plddt : float, optional
        Residues of predicted structures with less confidence are no candidates; they stay in the geometry. Nothing
        measured says whether this makes the list better.
    exclude : str, optional
        Residues that cannot be in the interface and are no candidates: ``receptor:A:12-30,ligand:B:7``.
    cutoff : str, optional
        Which residues are marked: ``precision=X``, ``recall=X``, ``probability=X`` or ``residues=N``.
    diverse : bool
        List likely pairs that lie apart first (`resblock.pairs.diverse.diverse_order`).
    device : str
        auto, cpu or cuda, for weights that are yet to be loaded.
    processes : int
        With 2, large partners get their features at the same time. Call it under
        ``if __name__ == "__main__"`` then: the second process imports the calling script.
    progress : callable, optional
        Called with the number of pairs scored so far and of all pairs.

    Returns
    -------
    Prediction

    Raises
    ------
    InputError
        If a file, chain or residue cannot be used, both partners hold one chain, or there are too many pairs.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "loading"):
        ensemble = weights if isinstance(weights, Ensemble) else load_ensemble(weights, choose_device(device))
        expectations = _expectations(ensemble)
        marking(cutoff, expectations)  # refused before the work is done for nothing
    with _timed(seconds, "reading"):
        partners = read_partners(receptor, ligand, receptor_chains, ligand_chains, model=model, assembly=assembly)
        if homodimer:
            _check_one_chain(partners[0], receptor_chains)
        else:
            _check_apart(*partners)
        left_out = exclusions(exclude, *partners)
    with _timed(seconds, "features"):
        code = "-".join(Path(partner.path).name for partner in partners)
        features = _features(*partners, ensemble.feature_set, processes)
        areas = tuple(table.columns(("AESA",))[:, 0] for table in features)
        receptor_features, ligand_features = (
            without(_sure(partner, table, min_plddt), excluded)
            for partner, table, excluded in zip(partners, features, left_out, strict=True)
        )
        complex = Complex(code, receptor_features, ligand_features)
    pairs = math.prod(complex.surface_shape)
    if pairs > MAX_PAIRS:
        raise InputError(
            f"{partners[0].path} and {partners[1].path}: {pairs} pairs of surface residues, more than the {MAX_PAIRS} "
            "that can be ranked; choose the chains that matter"
        )
    with _timed(seconds, "scoring"):
        log_odds = ensemble.complex_log_odds(complex, progress)
    options: dict[str, Any] = {"weights": weights, "model": model, "assembly": assembly, "homodimer": homodimer}
    options |= {"min-plddt": min_plddt, "exclude": exclude, "cutoff": cutoff, "diverse": diverse}
    found = Prediction(
        receptor=partners[0],
        ligand=partners[1],
        candidates=(complex.receptor.surface_residues, complex.ligand.surface_residues),
        areas=(areas[0], areas[1]),
        log_odds=log_odds,
        notes=tuple(line for partner in partners for line in notes(partner)),
        expectations=expectations,
        diverse=diverse,
        cutoff=cutoff,
        command=_command(partners, (receptor_chains, ligand_chains), options),
        weights=_weights_name(weights),
        trained_on=len(ensemble.card.get("complexes", {}).get("train", ())),
        version=__version__,
        seconds=seconds,
    )
    with _timed(seconds, "ranking"):
        len(found.ranking)  # sorted here, where it is timed
    return found


def _expectations(ensemble: Ensemble) -> Expectations | None:
    stored = ensemble.card.get("expectations")
    try:
        return None if stored is None else Expectations.of(stored)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"weights: what to expect of them is damaged ({error}); run resblock calibrate again"
        ) from None


def _weights_name(weights: Ensemble | str | os.PathLike[str] | None) -> str:
    if isinstance(weights, Ensemble):
        return "weights in memory"
    return "default" if weights is None else Path(weights).name


def _command(partners: Sequence[Partner], chains: Sequence[Sequence[str] | None], options: Mapping[str, Any]) -> str:
    """The command line that makes the same prediction."""
    words = ["resblock", "predict", *(partner.path for partner in partners)]
    if options["homodimer"]:
        words = ["resblock", "predict", "--homodimer", partners[0].path]
    for role, chosen in zip(("receptor", "ligand"), chains, strict=True):
        if chosen is not None:
            words += [f"--{role}-chains", ",".join(chosen)]
    for name, value in options.items():
        if name != "homodimer" and value not in (None, False) and not isinstance(value, Ensemble):
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)


def _check_one_chain(partner: Partner, chosen: Sequence[str] | None) -> None:
    """Refuse a whole complex as the monomer of a homodimer."""
    if chosen is None and len(partner.chains) > 1:
        raise InputError(f"{partner.path}: has chains {', '.join(partner.chains)}; choose one with --chain")


def _check_apart(receptor: Partner, ligand: Partner) -> None:
    """Refuse a chain that is in both partners: a complex that was given twice tells nothing."""
    both = set(receptor.chain_digests.values()) & set(ligand.chain_digests.values())
    if both:
        names = ", ".join(name or "_" for name, digest in ligand.chain_digests.items() if digest in both)
        raise InputError(
            f"{ligand.path}: chain {names} is in both partners; choose different chains with --receptor-chains and "
            "--ligand-chains, or ask for a homodimer with --homodimer"
        )


def _sure(partner: Partner, features: PartnerFeatures, min_plddt: float | None) -> PartnerFeatures:
    """Leave out of the candidates what is placed with too little confidence."""
    if min_plddt is None or partner.plddt is None:
        return features
    sure = features.surface & (partner.plddt >= min_plddt)
    if not sure.any():
        raise InputError(f"{partner.path}: no surface residue has a pLDDT of {min_plddt:g} or more; lower --min-plddt")
    return dataclasses.replace(features, surface=sure)


def _features(
    receptor: Partner, ligand: Partner, features: str, processes: int
) -> tuple[PartnerFeatures, PartnerFeatures]:
    if processes > 1 and min(len(receptor), len(ligand)) >= WORTH_A_PROCESS:
        try:
            with worker() as pool:
                other = pool.submit(PartnerFeatures.of, ligand, features)
                return PartnerFeatures.of(receptor, features), other.result()
        except (BrokenProcessPool, OSError):
            pass  # No second process to be had: one after the other, then.
    return PartnerFeatures.of(receptor, features), PartnerFeatures.of(ligand, features)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
