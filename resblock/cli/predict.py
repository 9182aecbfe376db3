"""`resblock predict`."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape

from resblock.cli.console import extra, output, progress_bar, remarks
from resblock.cli.directory import check_replaceable, written_whole
from resblock.errors import InputError

if TYPE_CHECKING:
    from resblock.structure import Partner, StructureFile

#: What a prediction leaves in its directory; the structures come in either format.
_SIGN: Final = ("pairs.csv", "view.pml", "view.cxc")
_FILES: Final = (
    *_SIGN, "residues.csv", "summary.json", "pairs.parquet", "receptor.pdb", "receptor.cif", "ligand.pdb", "ligand.cif",
)  # fmt: skip


def predict(
    receptor: Annotated[
        str | None,
        typer.Argument(
            help="Unbound structure: a file (- is the standard input), or an entry such as 1BRS:A or P11540."
        ),
    ] = None,
    ligand: Annotated[str | None, typer.Argument(help="The other partner's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the results; an earlier prediction's is replaced.")
    ] = None,
    receptor_chains: Annotated[
        str | None, typer.Option(metavar="A,B", help="Chains that make the receptor; all by default.")
    ] = None,
    ligand_chains: Annotated[
        str | None, typer.Option(metavar="C", help="Chains that make the ligand; _ is a blank name.")
    ] = None,
    complex: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Take both partners out of one file; their placement is not used."),
    ] = None,
    homodimer: Annotated[str | None, typer.Option(metavar="FILE", help="Pair one structure with itself.")] = None,
    chain: Annotated[str | None, typer.Option(metavar="A", help="Chain of the homodimer.")] = None,
    model: Annotated[int | None, typer.Option(help="Model of files that have several; the first by default.")] = None,
    assembly: Annotated[
        str | None, typer.Option(metavar="ID", help="Biological assembly of files that describe some.")
    ] = None,
    min_plddt: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Leave out residues of predicted structures below this confidence."),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="File of resblock train, or paper; else those included.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Pairs in pairs.csv; up to 200,000 by default.")] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Write every pair to pairs.parquet, too.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    diverse: Annotated[
        bool, typer.Option("--diverse", help="First likely pairs that lie apart: finds an interface sooner.")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="Use the included model of a leucine zipper.")] = False,
) -> None:
    """Rank the pairs of surface residues of two unbound structures by how likely they touch.

    Writes pairs.csv and residues.csv, both structures with 100 x the best score of each residue as B-factor, scripts
    for PyMOL (view.pml) and ChimeraX (view.cxc), and summary.json. The relative placement of the two input files does
    not matter.
    """
    if out is None:
        raise InputError("no directory for the results; give --out DIR")
    if min_plddt is not None and math.isnan(min_plddt):
        raise InputError("--min-plddt is nan; give a number from 0 to 100")
    if all_pairs:
        with extra("screen"):
            import pyarrow  # noqa: F401  before the work is done for nothing
    with ExitStack() as stack:
        if example:
            if receptor is not None or complex is not None or homodimer is not None:
                raise InputError("--example takes no files; leave out either")
            included = files("resblock") / "example"
            receptor, ligand = (
                str(stack.enter_context(as_file(included / name))) for name in ("receptor.pdb", "ligand.cif")
            )
        chosen = tuple(None if names is None else names.split(",") for names in (receptor_chains, ligand_chains))
        if chain is not None and homodimer is None:
            raise InputError("--chain is of --homodimer; choose chains with --receptor-chains and --ligand-chains")
        if complex is not None:
            sources = _of_complex(complex, chosen, (receptor, ligand, homodimer))
        elif homodimer is not None:
            sources = _of_homodimer(homodimer, chain, chosen, (receptor, ligand))
        elif receptor is None or ligand is None:
            raise InputError(
                "two structures are needed; give RECEPTOR and LIGAND, --complex FILE, --homodimer FILE or --example"
            )
        else:
            sources = (receptor, chosen[0]), (ligand, chosen[1])
        check_replaceable(out, _SIGN, _FILES, [path for source, _ in sources if (path := Path(source)).exists()])
        _predict(
            sources,
            out,
            reading={"model": model, "assembly": assembly},
            options={"homodimer": homodimer is not None, "min_plddt": min_plddt, "diverse": diverse},
            weights=weights,
            device=device,
            top=top,
            all_pairs=all_pairs,
            notes=[] if complex is None else [f"{complex}: how it places the partners to each other is not used"],
        )


_Source = tuple[str, list[str] | None]


def _of_complex(
    file: str, chains: tuple[list[str] | None, ...], others: tuple[str | None, ...]
) -> tuple[_Source, _Source]:
    if any(other is not None for other in others):
        raise InputError("--complex takes both partners out of one file; leave the other files out")
    receptor_chains, ligand_chains = chains
    if receptor_chains is None or ligand_chains is None:
        raise InputError("--complex needs to know which chains are which; give --receptor-chains and --ligand-chains")
    return (file, receptor_chains), (file, ligand_chains)


def _of_homodimer(
    file: str, chain: str | None, chains: tuple[list[str] | None, ...], others: tuple[str | None, ...]
) -> tuple[_Source, _Source]:
    if any(other is not None for other in (*others, *chains)):
        raise InputError("--homodimer takes one file, and its chain with --chain; leave the rest out")
    one = file, None if chain is None else chain.split(",")
    return one, one


def _read(sources: tuple[_Source, _Source], *, model: int | None, assembly: str | None) -> tuple[Partner, Partner]:
    """Both partners; a file that serves for both is read once."""
    from resblock.structure import partner_of

    if [source for source, _ in sources] == ["-", "-"]:
        raise InputError("standard input gives one structure; name a file for the other")
    opened = {source: _open(source) for source, _ in sources}
    files = [file for file, _ in opened.values()]
    if assembly is not None and not any(file.assemblies for file in files):
        raise InputError(f"{files[0].path}: describes no assembly {assembly}; leave --assembly out")
    if model is not None and not any(file.has_models for file in files):
        raise InputError(f"{files[0].path}: has one model; leave --model out")
    partners = []
    for source, chains in sources:
        file, own_chains = opened[source]
        if chains is not None and own_chains is not None:
            raise InputError(f"{source}: names chains, and so does an option; leave either out")
        chosen = chains if own_chains is None else own_chains
        of_model, of_assembly = model if file.has_models else None, assembly if file.assemblies else None
        partners.append(partner_of(file, chosen, model=of_model, assembly=of_assembly))
    return partners[0], partners[1]


def _open(source: str) -> tuple[StructureFile, Sequence[str] | None]:
    """A structure file, and the chains that were named together with it."""
    from resblock.structure import read_file
    from resblock.structure.fetch import locate

    found = locate(source)
    file = read_file(found.path, found.name)
    return dataclasses.replace(file, remarks=(*filter(None, [found.remark]), *file.remarks)), found.chains


def _predict(
    sources: tuple[_Source, _Source],
    out: Path,
    *,
    reading: dict[str, Any],
    options: dict[str, Any],
    weights: Path | None,
    device: str,
    top: int | None,
    all_pairs: bool,
    notes: Sequence[str],
) -> None:
    start = time.perf_counter()
    from resblock import prediction
    from resblock.models import choose_device, load_ensemble
    from resblock.report import pairs_table

    ensemble = load_ensemble(weights, choose_device(device))
    seconds = {"loading": time.perf_counter() - start}
    start = time.perf_counter()
    with progress_bar() as bar:
        bar.add_task("reading", total=None)
        receptor, ligand = _read(sources, **reading)
    if options["homodimer"] and sources[0][1] is None and len(receptor.chains) > 1:
        raise InputError(f"{receptor.path}: has chains {', '.join(receptor.chains)}; choose one with --chain")
    seconds["reading"] = time.perf_counter() - start
    for role, partner in (("receptor", receptor), ("ligand", ligand)):
        output.print(f"{role}: {escape(partner.contents)}")
    with progress_bar() as bar:
        task = bar.add_task("features", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, description="scoring pairs", completed=done, total=total)

        found = prediction.predict(receptor, ligand, ensemble, processes=2, progress=show, **options)
    if options["min_plddt"] is not None and receptor.plddt is None and ligand.plddt is None:
        notes = [*notes, "neither file says that it is a prediction; --min-plddt leaves nothing out"]
    for note in (*notes, *found.notes):
        remarks.print(f"note: {escape(note)}")
    start = time.perf_counter()
    with written_whole(out) as directory:
        found.write(directory, top, all_pairs=all_pairs)
    seconds = {"loading": seconds["loading"], **found.seconds, **seconds, "writing": time.perf_counter() - start}
    output.print(pairs_table(found.ranking))
    total, limit = len(found.ranking), prediction.MAX_TABLE if top is None else top
    output.print(f"{min(limit, total)} of {total} pairs are in {escape(str(out))}/pairs.csv")
    stages = ", ".join(f"{stage} {duration:.2f}" for stage, duration in seconds.items())
    output.print(f"Seconds: {stages}, together {sum(seconds.values()):.2f}")
