"""`resblock predict`."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from resblock.cli.console import extra, output, progress_bar, remarks
from resblock.cli.directory import check_replaceable, written_whole
from resblock.errors import InputError

#: What a prediction leaves in its directory; the structures come in either format.
_SIGN: Final = ("pairs.csv", "view.pml", "view.cxc")
_FILES: Final = (
    *_SIGN, "log_odds.safetensors", "residues.csv", "patches.csv", "summary.json", "report.html", "view.mvsj",
    "pairs.parquet", "receptor.pdb", "receptor.cif", "ligand.pdb", "ligand.cif", "export",
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
    exclude: Annotated[
        str | None,
        typer.Option(metavar="receptor:A:12-30,...", help="Residues that cannot be in the interface: no candidates."),
    ] = None,
    cutoff: Annotated[
        str | None,
        typer.Option(
            metavar="precision=0.5",
            help="Which residues are marked: precision=, recall= or probability=, or residues=N; 20 of each partner.",
        ),
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(metavar="FORMAT,...", help="Write export/FORMAT in the directory, too, as resblock export does."),
    ] = None,
    truth: Annotated[
        str | None, typer.Option(metavar="COMPLEX", help="The known complex: what is true is marked everywhere.")
    ] = None,
    truth_chains: Annotated[
        str | None,
        typer.Option(metavar="H,L:A", help="Its chains that are receptor and ligand; by default those named alike."),
    ] = None,
    viewer_js: Annotated[
        Path | None, typer.Option(help="File of 3Dmol.js for the report, which otherwise is downloaded once.")
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Leave report.html out.")] = False,
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

    Writes tables of pairs, residues and patches, both structures with 100 x the probability of each residue to be in
    the interface as B-factor, scripts for PyMOL (view.pml) and ChimeraX (view.cxc), and summary.json. The relative
    placement of the two input files does not matter.
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
            options={
                "weights": weights,
                "model": model,
                "assembly": assembly,
                "homodimer": homodimer is not None,
                "min_plddt": min_plddt,
                "exclude": exclude,
                "cutoff": cutoff,
                "diverse": diverse,
                "device": device,
            },
            top=top,
            all_pairs=all_pairs,
            formats=export.split(",") if export else [],
            truth=_truth(truth, truth_chains),
            page=None if no_report else _Page(viewer_js),
            notes=[] if complex is None else [f"{complex}: how it places the partners to each other is not used"],
        )


@dataclass(frozen=True)
class _Page:
    """The report that is to be written."""

    viewer_js: Path | None


def _truth(complex: str | None, chains: str | None) -> tuple[str, list[str] | None, list[str] | None] | None:
    if complex is None:
        if chains is not None:
            raise InputError("--truth-chains is of --truth; name the complex")
        return None
    if chains is None:
        return complex, None, None
    return complex, *partner_chains(chains, "--truth-chains")


def partner_chains(text: str, option: str) -> tuple[list[str], list[str]]:
    """Chains of receptor and ligand, as in ``H,L:A``."""
    receptor, colon, ligand = text.partition(":")
    if not (receptor and colon and ligand):
        raise InputError(f"{option} {text!r}: write the receptor's, a colon, the ligand's, as in H,L:A")
    return receptor.split(","), ligand.split(",")


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


def _predict(
    sources: tuple[_Source, _Source],
    out: Path,
    *,
    options: dict[str, Any],
    top: int | None,
    all_pairs: bool,
    formats: list[str],
    truth: tuple[str, list[str] | None, list[str] | None] | None,
    page: _Page | None,
    notes: Sequence[str],
) -> None:
    start = time.perf_counter()
    from resblock import prediction
    from resblock.export import check_formats
    from resblock.report import answer, pairs_table
    from resblock.report import truth as true_lines

    check_formats(formats)
    imported = time.perf_counter() - start
    (receptor, receptor_chains), (ligand, ligand_chains) = sources
    with progress_bar() as bar:
        task = bar.add_task("features", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, description="scoring pairs", completed=done, total=total)

        found = prediction.predict(
            receptor,
            ligand,
            receptor_chains=receptor_chains,
            ligand_chains=ligand_chains,
            processes=2,
            progress=show,
            **options,
        )
    if truth is not None:
        found = found.with_truth(*truth)
    partners = {"receptor": found.receptor, "ligand": found.ligand}
    for role, partner in partners.items():
        output.print(f"{role}: {escape(partner.contents)}")
    if options["min_plddt"] is not None and all(partner.plddt is None for partner in partners.values()):
        notes = [*notes, "neither file says that it is a prediction; --min-plddt leaves nothing out"]
    start = time.perf_counter()
    with written_whole(out) as directory:
        found.save(directory, top, all_pairs=all_pairs)
        if page is not None:
            notes = [*notes, *found.report(directory / "report.html", page.viewer_js)]
        for format in formats:
            found.export(format, directory / "export" / format)
    seconds = {**found.seconds, "loading": imported + found.seconds["loading"], "writing": time.perf_counter() - start}
    for note in (*notes, *found.notes):
        remarks.print(f"note: {escape(note)}")
    output.print(pairs_table(found.ranking))
    for line in (*answer(found.results), *true_lines(found.results)):
        output.print(escape(line))
    total, limit = len(found.ranking), prediction.MAX_TABLE if top is None else top
    output.print(f"{min(limit, total)} of {total} pairs are in {escape(str(out))}/pairs.csv")
    stages = ", ".join(f"{stage} {duration:.2f}" for stage, duration in seconds.items())
    output.print(f"Seconds: {stages}, together {sum(seconds.values()):.2f}")
