"""`resblock predict`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from resblock.cli.console import output, progress_bar, remarks
from resblock.cli.directory import check_replaceable, written_whole
from resblock.errors import InputError

#: What a prediction leaves in its directory; the structures come in either format.
_ALWAYS: Final = ("pairs.csv", "view.pml", "view.cxc")
_FILES: Final = (*_ALWAYS, "receptor.pdb", "receptor.cif", "ligand.pdb", "ligand.cif")


def predict(
    receptor: Annotated[Path | None, typer.Argument(help="Unbound structure, PDB or mmCIF, plain or .gz.")] = None,
    ligand: Annotated[Path | None, typer.Argument(help="The other partner's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the results; an earlier prediction's is replaced.")
    ] = None,
    receptor_chains: Annotated[
        str | None, typer.Option(metavar="A,B", help="Chains that make the receptor; all by default.")
    ] = None,
    ligand_chains: Annotated[
        str | None, typer.Option(metavar="C", help="Chains that make the ligand; _ is a blank name.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="File of resblock train, or paper; else those included.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Pairs in pairs.csv; all by default.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    diverse: Annotated[
        bool, typer.Option("--diverse", help="First likely pairs that lie apart: finds an interface sooner.")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="Use the included model of a leucine zipper.")] = False,
) -> None:
    """Rank the pairs of surface residues of two unbound structures by how likely they touch.

    Writes pairs.csv, both structures with 100 x the best score of each residue as B-factor, and scripts for
    PyMOL (view.pml) and ChimeraX (view.cxc). The relative placement of the two input files does not matter.
    """
    if out is None:
        raise InputError("no directory for the results; give --out DIR")
    with ExitStack() as stack:
        if example:
            if receptor is not None:
                raise InputError("--example takes no files; leave out either")
            included = files("resblock") / "example"
            receptor, ligand = (stack.enter_context(as_file(included / n)) for n in ("receptor.pdb", "ligand.cif"))
        if receptor is None or ligand is None:
            raise InputError("two structures are needed; give RECEPTOR and LIGAND, or --example")
        check_replaceable(out, _ALWAYS, _FILES, [receptor, ligand])
        chains = receptor_chains, ligand_chains
        _predict((receptor, ligand), chains, out, weights=weights, top=top, device=device, diverse=diverse)


def _predict(
    structures: tuple[Path, Path],
    chains: tuple[str | None, str | None],
    out: Path,
    *,
    weights: Path | None,
    top: int | None,
    device: str,
    diverse: bool,
) -> None:
    start = time.perf_counter()
    from resblock import prediction
    from resblock.models import choose_device, load_ensemble
    from resblock.report import pairs_table

    ensemble = load_ensemble(weights, choose_device(device))
    seconds = {"loading": time.perf_counter() - start}
    with progress_bar() as bar:
        task = bar.add_task("reading and features", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, description="scoring pairs", completed=done, total=total)

        receptor_chains, ligand_chains = (None if names is None else names.split(",") for names in chains)
        found = prediction.predict(
            *structures,
            ensemble,
            receptor_chains=receptor_chains,
            ligand_chains=ligand_chains,
            processes=2,
            progress=show,
            diverse=diverse,
        )
    for note in found.notes:
        remarks.print(f"note: {escape(note)}")
    start = time.perf_counter()
    with written_whole(out) as directory:
        found.write(directory, top)
    seconds |= {**found.seconds, "writing": time.perf_counter() - start}
    output.print(pairs_table(found.ranking))
    total = len(found.ranking)
    output.print(f"{min(top or total, total)} of {total} pairs are in {escape(str(out))}/pairs.csv")
    stages = ", ".join(f"{stage} {duration:.2f}" for stage, duration in seconds.items())
    output.print(f"Seconds: {stages}, together {sum(seconds.values()):.2f}")
