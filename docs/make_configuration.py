"""Writes docs/configuration.md from the configuration's classes: `python docs/make_configuration.py`.

A field's description is the docstring below it, so that it stands once, beside the code. The environment variables are
described here; `python_tests/test_docs.py` compares them with those that the code reads.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from resblock.models.files import DERIVED, KINDS
from resblock.models.inverse_folding import InverseFoldingConfig
from resblock.structure.banks import ALPHAFOLD_URL, PDB_URL
from resblock.training.config import KIND, PRESETS, DataConfig, OptimisationConfig, TrainingConfig
from resblock.training.folding import PretrainingConfig

PAGE: Final = Path(__file__).with_name("configuration.md")

#: Name, value without it, what it decides.
Variable = tuple[str, str, str]

USE: Final[Sequence[Variable]] = (
    (
        "RESBLOCK_CACHE",
        "the user's cache directory",
        "Directory of computed features and of downloaded structures; `resblock doctor` shows it.",
    ),
    ("RESBLOCK_MAX_TEXT", "512", "MiB of text that a structure file may hold, decompressed."),
    (
        "RESBLOCK_PDB_URL",
        PDB_URL,
        "Where entries of the PDB archive come from, as mmCIF: `{id}` becomes the entry in small letters, `{hash}` the "
        "two characters before its last, by which copies of the archive are divided "
        "(`https://institute.example/pdb/divided/mmCIF/{hash}/{id}.cif.gz`).",
    ),
    (
        "RESBLOCK_ALPHAFOLD_URL",
        ALPHAFOLD_URL,
        "What is asked for the model of a UniProt accession (`{accession}`); it answers as AlphaFold DB's API does, "
        "with a `cifUrl` on the same server.",
    ),
    (
        "RESBLOCK_VIEWER_URL",
        "a CDN (`resblock/report/viewer_js.py`)",
        "Where 3Dmol.js, which the report embeds, is downloaded once; a report links it where it cannot be had, and "
        "whatever comes is compared with a checksum.",
    ),
    (
        "RESBLOCK_BLOCK_CACHE",
        "1024",
        "MiB of freed results and saved activations that the CPU kernels hold for the next call (the block cache); "
        "0: none. Read at the first call.",
    ),
    (
        "RESBLOCK_ISA",
        "the best the processor has",
        "Instruction set of the CPU kernels: x86-64, x86-64-v3, x86-64-v4, or with products in bfloat16 x86-64-v4-bf16 "
        "or x86-64-v4-bf16-amx; in place of one that the processor lacks "
        "the best it has, of an unknown name x86-64.",
    ),
)

BUILD: Final[Sequence[Variable]] = (
    ("RESBLOCK_CUDA", "auto", "1: compile the CUDA kernels, or fail; 0: do not; auto: where a toolkit is found."),
    ("CUDA_HOME, CUDA_PATH", "/usr/local/cuda", "The CUDA toolkit."),
    ("TORCH_CUDA_ARCH_LIST", "see `csrc/build_ext.py`", "Architectures to compile for."),
    ("CXX, MAX_JOBS", "the system's; the processors", "The compiler, and how many of it run at once."),
)

TESTS: Final[Sequence[Variable]] = (
    (
        "RESBLOCK_COMPLEXES",
        "../shared/complexes",
        "Further complexes, for the tests of lists made from their table.",
    ),
    ("RESBLOCK_DB5", "../shared/db5", "The docking benchmark for the tests on real proteins, which skip without it."),
    ("RESBLOCK_CORE", "build/core", "Where CMake built the core for `python_tests/test_core.py`."),
    ("RESBLOCK_REQUIRE_CUDA", "0", "1: a missing GPU is a failure, not a skip."),
    ("RESBLOCK_REQUIRE_POSTGRESQL", "0", "The same of PostgreSQL."),
    ("RESBLOCK_REQUIRE_PYMOL", "0", "The same of PyMOL."),
    ("RESBLOCK_REQUIRE_BROWSER", "0", "The same of Chromium, Playwright and 3Dmol.js, for the tests of the report."),
    ("RESBLOCK_VIEWER_JS", "none", "The file of 3Dmol.js that these tests embed."),
)

TEXT: Final = """# Configuration

Written by `python docs/make_configuration.py` from the docstrings of the fields; not to be edited.

A training run takes a preset, then the fields of a TOML file, then single fields, each over the one before:

    resblock train prepared --out run --preset residues --config mine.toml --set optimisation.ensemble=3

A TOML file has the sections `[data]`, `[model]` and `[optimisation]`, and only the fields that differ. `[model]` has
the field `{kind}`, which says which model it is; its other fields are that model's own. What a run was made with, all
fields resolved, is in `RUN/config.toml`, which `--config` takes. An unknown field, a value of the wrong type and one
that means nothing are refused by name. The columns of the tables are the presets and hold their values; a field that is
left out has the value of the preset, and the preset is `paper` where none is named.

## [data]

{data}

Code: `DataConfig` in `resblock/training/config.py`.

{models}

## [optimisation]

{optimisation}

Code: `OptimisationConfig` in `resblock/training/config.py`.

## Inverse folding

`resblock pretrain` has a configuration of its own, whose fields `--set` replaces (`network.layers=4`).

### [network]

{network}

Code: `InverseFoldingConfig` in `resblock/models/inverse_folding.py`.

### [optimisation] of `resblock pretrain`

{pretraining}

Code: `PretrainingConfig` in `resblock/training/folding.py`.

## Environment variables

When it runs:

{use}

When it is built ([CONTRIBUTING](../CONTRIBUTING.md)):

{build}

When it is tested:

{tests}
"""


def descriptions(config: type) -> dict[str, str]:
    """Docstring below each field of a dataclass, in one line; those of the classes it inherits from, too."""
    found: dict[str, str] = {}
    for owner in reversed([one for one in config.__mro__ if dataclasses.is_dataclass(one)]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(tree, ast.ClassDef)
        for statement, after in zip(tree.body, tree.body[1:], strict=False):
            if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[statement.target.id] = " ".join(str(after.value.value).split())
    return found


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def section(config: type, name: str, presets: Mapping[str, TrainingConfig]) -> str:
    """Fields of a section with their values in each preset."""
    types, texts = typing.get_type_hints(config), descriptions(config)
    values = [getattr(preset, name) for preset in presets.values()]
    fields = [field.name for field in dataclasses.fields(config) if field.name not in DERIVED]
    rows = [
        [f"`{field}`", _kind(types[field]), *(_value(getattr(preset, field)) for preset in values), texts[field]]
        for field in fields
    ]
    return table(["field", "values", *(f"`{preset}`" for preset in presets), "what"], rows)


def defaults(config: type) -> str:
    """Fields of a dataclass with their defaults."""
    types, texts = typing.get_type_hints(config), descriptions(config)
    rows = [
        [f"`{field.name}`", _kind(types[field.name]), _value(field.default), texts[field.name]]
        for field in dataclasses.fields(config)
    ]
    return table(["field", "values", "default", "what"], rows)


def _kind(wanted: Any) -> str:
    if typing.get_origin(wanted) is Literal:
        return ", ".join(typing.get_args(wanted))
    return {int: "whole number", float: "number", bool: "true, false", str: "text"}[wanted]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (f"{value:g}" if isinstance(value, float) else str(value)) or '""'


def _model(kind: str) -> str:
    config = KINDS[kind].Config
    presets = {name: preset for name, preset in PRESETS.items() if preset.kind is KINDS[kind]}
    place = f"{config.__module__.replace('.', '/')}.py"
    fields = section(config, "model", presets)
    return f'## [model] {KIND} = "{kind}"\n\n{fields}\n\nCode: `{config.__name__}` in `{place}`.'


def variables(rows: Sequence[Variable]) -> str:
    """Lay out environment variables."""
    return table(["variable", "without it", "what"], [(f"`{name}`", default, what) for name, default, what in rows])


def page() -> str:
    """The whole page."""
    return TEXT.format(
        kind=KIND,
        data=section(DataConfig, "data", PRESETS),
        models="\n\n".join(map(_model, KINDS)),
        optimisation=section(OptimisationConfig, "optimisation", PRESETS),
        network=defaults(InverseFoldingConfig),
        pretraining=defaults(PretrainingConfig),
        use=variables(USE),
        build=variables(BUILD),
        tests=variables(TESTS),
    )


if __name__ == "__main__":
    PAGE.write_text(page())
