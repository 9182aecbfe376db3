"""Inputs for programs that fold complexes: Boltz, Chai, Protenix. Residues are places in a sequence, from 1."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from resblock.export.given import Sequence, likeliest, sequences
from resblock.export.options import PAIRS, Options
from resblock.pairs.tables import Results

#: Largest distance, Angstrom, that a restraint asks for: between any atoms, with some room.
DISTANCE: Final = 8.0


@dataclass(frozen=True)
class Token:
    """A residue in the sequence of its chain, from 1."""

    chain: Sequence
    place: int


def boltz(results: Results, options: Options) -> dict[str, str]:
    """A YAML file with the sequences and ``contact`` or ``pocket`` constraints."""
    chains = sequences(results)
    lines = [*(f"# {line}" for line in _sources(chains)), "version: 1", "sequences:"]
    for chain in chains:
        lines += ["  - protein:", f'      id: "{chain.letter}"', f"      sequence: {chain.text}"]
    lines.append("constraints:")
    if options.form == "pairs":
        for first, second in _contacts(results, chains, options):
            lines += ["  - contact:", f"      token1: {_yaml(first)}", f"      token2: {_yaml(second)}"]
            lines.append(f"      max_distance: {DISTANCE:g}")
    else:
        for binder, contacts in _pockets(results, chains, options):
            lines += ["  - pocket:", f'      binder: "{binder.letter}"']
            lines.append(f"      contacts: [{', '.join(map(_yaml, contacts))}]")
            lines.append(f"      max_distance: {DISTANCE:g}")
    return {"boltz.yaml": "\n".join(lines) + "\n"}


def chai(results: Results, options: Options) -> dict[str, str]:
    """A FASTA file and a CSV file of restraints."""
    chains = sequences(results)
    fasta = "".join(f">protein|name={chain.letter}\n{chain.text}\n" for chain in chains)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(
        (
            "restraint_id", "chainA", "res_idxA", "chainB", "res_idxB", "connection_type", "confidence",
            "min_distance_angstrom", "max_distance_angstrom", "comment",
        )
    )  # fmt: skip
    if options.form == "pairs":
        rows = [
            (first.chain.letter, _lettered(first), second.chain.letter, _lettered(second), "contact")
            for first, second in _contacts(results, chains, options)
        ]
    else:
        rows = [
            (binder.letter, "", contact.chain.letter, _lettered(contact), "pocket")
            for binder, contacts in _pockets(results, chains, options)
            for contact in contacts
        ]
    for number, row in enumerate(rows, start=1):
        writer.writerow((f"restraint{number}", *row, "1.0", "0.0", f"{DISTANCE:.1f}", "resblock"))
    return {"chai.fasta": fasta, "chai.restraints": table.getvalue(), "sequences.txt": _listed(chains)}


def protenix(results: Results, options: Options) -> dict[str, str]:
    """A JSON file with the sequences, one entity a chain, and a constraint."""
    chains = sequences(results)
    entity = {chain.letter: number for number, chain in enumerate(chains, start=1)}
    constraint: dict[str, Any] = {}
    if options.form == "pairs":
        constraint["contact"] = [
            {
                "entity1": entity[first.chain.letter], "copy1": 1, "position1": first.place,
                "entity2": entity[second.chain.letter], "copy2": 1, "position2": second.place,
                "min_distance": 0, "max_distance": DISTANCE,
            }
            for first, second in _contacts(results, chains, options)
        ]  # fmt: skip
    else:
        # One pocket is all that it takes: the receptor's.
        binder, contacts = next(_pockets(results, chains, options))
        constraint["pocket"] = {
            "binder_chain": {"entity": entity[binder.letter], "copy": 1},
            "contact_residues": [
                {"entity": entity[one.chain.letter], "copy": 1, "position": one.place} for one in contacts
            ],
            "max_distance": DISTANCE,
        }
    job = {
        "name": "resblock",
        "sequences": [{"proteinChain": {"sequence": chain.text, "count": 1}} for chain in chains],
        "constraint": constraint,
    }
    return {"protenix.json": json.dumps([job], indent=2) + "\n", "sequences.txt": _listed(chains)}


def _contacts(results: Results, chains: list[Sequence], options: Options) -> Iterator[tuple[Token, Token]]:
    """The first pairs, each as two tokens."""
    receptor, ligand = (
        {residue: index for index, residue in enumerate(side.partner.residues)} for side in results.sides
    )
    for pair in results.pairs[: options.top or PAIRS]:
        first = _token(chains, results.receptor.role, receptor[pair.receptor])
        yield first, _token(chains, results.ligand.role, ligand[pair.ligand])


def _pockets(results: Results, chains: list[Sequence], options: Options) -> Iterator[tuple[Sequence, list[Token]]]:
    """The likeliest residues of each partner, and the likeliest chain of the other one, which is to be near them."""
    chosen = [likeliest(side, options.top) for side in results.sides]
    for side, own, others in zip(results.sides, chosen, reversed(chosen), strict=True):
        expected: dict[str, float] = {}
        for one in others:
            letter = _token(chains, one.partner, one.index).chain.letter
            expected[letter] = expected.get(letter, 0.0) + one.probability
        binder = max(expected, key=lambda letter: expected[letter])
        tokens = [_token(chains, side.role, one.index) for one in own]
        yield (
            next(chain for chain in chains if chain.letter == binder),
            sorted(tokens, key=lambda token: (token.chain.letter, token.place)),
        )


def _token(chains: list[Sequence], role: str, index: int) -> Token:
    chain = next(one for one in chains if one.side.role == role and index in one.places)
    return Token(chain, chain.places[index])


def _yaml(token: Token) -> str:
    return f'["{token.chain.letter}", {token.place}]'


def _lettered(token: Token) -> str:
    return f"{token.chain.text[token.place - 1]}{token.place}"


def _sources(chains: list[Sequence]) -> list[str]:
    """Which chain of which partner each sequence is, and where it comes from."""
    lines = []
    for chain in chains:
        name = chain.side.partner.residues[min(chain.places)].chain
        what = "as the file states it" if chain.stated else "of the residues observed, in the file's order"
        lines.append(f"{chain.letter}: {chain.side.role} chain {name or '(blank)'}, sequence {what}")
    return lines


def _listed(chains: list[Sequence]) -> str:
    return "\n".join(_sources(chains)) + "\n"
