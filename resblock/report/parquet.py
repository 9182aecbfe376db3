"""Every pair in one Parquet file, where a CSV file would be too large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from resblock.pairs.tables import RankedBlock
from resblock.report.tables import PAIR_COLUMNS
from resblock.structure import Residue


def write_pairs_parquet(
    path: Path, blocks: Iterable[RankedBlock], receptor: Sequence[Residue], ligand: Sequence[Residue]
) -> None:
    """Write pairs with the columns of pairs.csv, a row group for each block; texts are dictionaries.

    Raises
    ------
    ImportError
        If pyarrow is not installed: the extra ``screen`` of this package.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = [_labels(pa, residues) for residues in (receptor, ligand)]
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [("rank", pa.int32()), ("score", pa.float32()), *((name, text) for name in PAIR_COLUMNS[2:])]
    )  # fmt: skip
    with pq.ParquetWriter(path, schema) as writer:
        for block in blocks:
            ranks = pa.array(range(block.first_rank, block.first_rank + len(block.scores)), pa.int32())
            columns = [
                pa.DictionaryArray.from_arrays(codes.take(pa.array(places)), words)
                for places, texts in zip((block.receptor, block.ligand), labels, strict=True)
                for codes, words in texts
            ]
            writer.write_table(pa.Table.from_arrays([ranks, pa.array(block.scores), *columns], schema=schema))


def _labels(pa: Any, residues: Sequence[Residue]) -> list[tuple[Any, Any]]:
    """Chain, number and name of every residue: a code each, and the words that the codes stand for."""
    columns = zip(*((residue.chain, residue.label, residue.name) for residue in residues), strict=True)
    encoded = [pa.array(column, pa.string()).dictionary_encode() for column in columns]
    return [(array.indices, array.dictionary) for array in encoded]
