"""Inverse folding: which type of residue a backbone makes one expect at every place of a partner.

A message-passing network over the nearest residues, with edges that are updated too, as in ProteinMPNN (Dauparas et
al., Science 378:49, 2022) after Ingraham et al. (NeurIPS 2019); distances of all pairs of backbone atoms, and the
neighbour's atoms in the residue's own frame. A bidirectional `ResidualLSTM` along the chain can follow.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resblock.nn.encoder_blocks import ChainLSTM

#: Types of residues, an unknown one behind them.
TYPES: Final = 20
_UNKNOWN: Final = TYPES
_HIDDEN: Final = TYPES + 1
#: Separations along the chain: from this many residues before to as many behind, then another chain, then nothing.
FURTHEST: Final = 32
OTHER_CHAIN: Final = 2 * FURTHEST + 1
NO_NEIGHBOUR: Final = OTHER_CHAIN + 1
#: Backbone atoms N, CA, C, O, and the ideal C-beta that follows from them.
_ATOMS: Final = 5
_N, _CA, _C = range(3)
#: Distances are written as bumps from the one to the other, Angstrom.
_NEAREST, _FARTHEST = 2.0, 22.0
#: Coordinates in a residue's frame are given in this unit, Angstrom, and cut at three of it.
_UNIT: Final = 8.0
#: Of a node: sine and cosine of phi and of psi, and whether it is bonded to the one before and behind.
_NODE: Final = 6
#: Peptide bonds are 1.33 Angstrom long.
_BOND: Final = 2.0


class Chains(NamedTuple):
    """Backbones of partners, one after the other: R residues, K neighbours each, B chains.

    Attributes
    ----------
    atoms : (R, 4, 3)
        N, CA, C and O, Angstrom; anything where `complete` is false.
    complete : (R,) bool
        Whether all four are known.
    neighbours : (R, K) int64
        Rows of the residues nearest to each; -1 where there is none.
    separations : (R, K) int64
        `FURTHEST` and the neighbour's place after the residue's in the same chain, cut at 0 and twice `FURTHEST`;
        `OTHER_CHAIN`, or `NO_NEIGHBOUR` where there is none.
    types : (R,) int64
        Type of each residue; `TYPES` for an unknown one.
    lengths : (B,) int64
        Residues of each chain in turn; together R.
    """

    atoms: Tensor
    complete: Tensor
    neighbours: Tensor
    separations: Tensor
    types: Tensor
    lengths: Tensor

    @classmethod
    def joined(cls, several: Sequence[Chains]) -> Chains:
        """All of them, one after the other."""
        starts = itertools.accumulate((len(one.types) for one in several[:-1]), initial=0)
        moved = [
            torch.where(one.neighbours >= 0, one.neighbours + k, -1) for one, k in zip(several, starts, strict=True)
        ]
        parts = {
            name: torch.cat([getattr(one, name) for one in several]) for name in cls._fields if name != "neighbours"
        }
        return cls(neighbours=torch.cat(moved), **parts)

    @property
    def predictable(self) -> Tensor:
        """(R,) bool, whether the type can be asked for: it is known, and so is the backbone."""
        return self.complete & (self.types < TYPES)


class InverseFolding(nn.Module):
    """Log-odds of the types of all residues, and an encoding of each, from the backbone of one partner alone.

    Parameters
    ----------
    size, edge_size : int
        Features of a residue and of an edge.
    layers : int
        Of message passing.
    lstm_layers : int
        Layers of each direction of the LSTM along the chain behind them; 0: none.
    bumps : int
        Numbers that a distance is written as.
    dropout : float
    """

    centres: Tensor

    def __init__(
        self,
        size: int = 128,
        edge_size: int = 64,
        layers: int = 3,
        *,
        lstm_layers: int = 0,
        bumps: int = 12,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(_NEAREST, _FARTHEST, bumps), persistent=False)
        self.separation = nn.Embedding(NO_NEIGHBOUR + 1, edge_size)
        self.edge = nn.Linear(_ATOMS**2 * bumps + 3 * _ATOMS, edge_size)
        self.edge_norm = nn.LayerNorm(edge_size)
        self.node = nn.Linear(_NODE, size)
        self.shown_type = nn.Embedding(TYPES + 2, size)
        self.node_norm = nn.LayerNorm(size)
        # The edges of the last layer would be updated for nobody.
        self.layers = nn.ModuleList(
            MessagePassing(size, edge_size, dropout, updates_edges=k < layers - 1) for k in range(layers)
        )
        self.chain = ChainLSTM(size, lstm_layers, dropout) if lstm_layers else None
        self.last = nn.Linear(size, TYPES)

    def forward(self, chains: Chains, shown: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode R residues.

        Parameters
        ----------
        chains : Chains
        shown : Tensor of bool, shape (R,), optional
            Residues whose type the network is told; none without.

        Returns
        -------
        logits : Tensor, shape (R, `TYPES`)
        encodings : Tensor, shape (R, size)
        """
        with torch.no_grad():
            edges, nodes = self.geometry(chains)
        edges = self.edge_norm(self.edge(edges) + self.separation(chains.separations))
        hidden = torch.full_like(chains.types, _HIDDEN)
        types = hidden if shown is None else torch.where(shown, chains.types, hidden)
        residues = self.node_norm(self.node(nodes) + self.shown_type(types))
        for layer in self.layers:
            residues, edges = layer(residues, edges, chains.neighbours)
        if self.chain is not None:
            residues = self.chain(residues.float(), chains.lengths)
        return self.last(residues), residues

    def geometry(self, chains: Chains) -> tuple[Tensor, Tensor]:
        """What describes each edge and each node, the same wherever the partner lies and however it is turned.

        Returns
        -------
        edges : Tensor, shape (R, K, 25 * bumps + 15)
            Distances between any atom of the residue and any of the neighbour, and the neighbour's atoms in the
            residue's frame.
        nodes : Tensor, shape (R, 6)
        """
        atoms = torch.where(chains.complete[:, None, None], chains.atoms, torch.zeros_like(chains.atoms))
        atoms = torch.cat([atoms, ideal_beta(atoms).unsqueeze(1)], dim=1)
        near = atoms[chains.neighbours.clamp(min=0)]
        apart = near.unsqueeze(2) - atoms[:, None, :, None]
        distances = (apart.square().sum(-1) + 1e-6).sqrt().flatten(2)
        width = (_FARTHEST - _NEAREST) / len(self.centres)
        bumps = (-((distances.unsqueeze(-1) - self.centres) / width).square()).exp().flatten(2)
        local = torch.einsum("rkad,rde->rkae", near - atoms[:, None, None, _CA], frames(atoms)).flatten(2) / _UNIT
        return torch.cat([bumps, local.clamp(-3.0, 3.0)], dim=-1), _torsions(atoms, chains)


class MessagePassing(nn.Module):
    """Residues take in messages of their neighbours; then the edges take in both residues.

    Parameters
    ----------
    size, edge_size : int
    dropout : float
    updates_edges : bool
    """

    def __init__(self, size: int, edge_size: int, dropout: float, *, updates_edges: bool) -> None:
        super().__init__()
        self.message = _Pair(size, edge_size, size)
        self.within = nn.Linear(size, size)
        self.taken = nn.Linear(size, size)
        self.message_norm, self.update_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.update = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.dropout = nn.Dropout(dropout)
        self.edge_update = _Pair(size, edge_size, size) if updates_edges else None
        self.edge_last = nn.Linear(size, edge_size) if updates_edges else None
        self.edge_norm = nn.LayerNorm(edge_size) if updates_edges else None

    def forward(self, residues: Tensor, edges: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes (R, size), (R, K, edge_size) and (R, K) with -1 where there is none; gives the first two anew."""
        there = (neighbours >= 0).unsqueeze(-1).to(residues.dtype)
        messages = F.gelu(self.within(F.gelu(self.message(residues, edges, neighbours))))
        taken = self.taken((messages * there).mean(1))
        residues = self.message_norm(residues + self.dropout(taken))
        residues = self.update_norm(residues + self.dropout(self.update(residues)))
        if self.edge_update is not None and self.edge_last is not None and self.edge_norm is not None:
            change = self.edge_last(F.gelu(self.edge_update(residues, edges, neighbours)))
            edges = self.edge_norm(edges + change)
        return residues, edges


class _Pair(nn.Module):
    """A linear layer on a residue, its neighbour and their edge; each residue is multiplied once."""

    def __init__(self, size: int, edge_size: int, out: int) -> None:
        super().__init__()
        self.own, self.other = nn.Linear(size, out), nn.Linear(size, out, bias=False)
        self.edge = nn.Linear(edge_size, out, bias=False)

    def forward(self, residues: Tensor, edges: Tensor, neighbours: Tensor) -> Tensor:
        other = self.other(residues)[neighbours.clamp(min=0)]
        paired: Tensor = self.edge(edges) + other + self.own(residues).unsqueeze(1)
        return paired


def ideal_beta(atoms: Tensor) -> Tensor:
    """(R, 3) C-beta of an ideal L-amino acid on (R, 4, 3) backbones, for glycine too."""
    first, second = atoms[:, _CA] - atoms[:, _N], atoms[:, _C] - atoms[:, _CA]
    normal = torch.linalg.cross(first, second)
    beta: Tensor = -0.58273431 * normal + 0.56802827 * first - 0.54067466 * second + atoms[:, _CA]
    return beta


def frames(atoms: Tensor) -> Tensor:
    """(R, 3, 3) axes of residues as columns: from CA to C, to the side of N, and the normal of both."""
    along = F.normalize(atoms[:, _C] - atoms[:, _CA], dim=-1)
    to_n = atoms[:, _N] - atoms[:, _CA]
    aside = F.normalize(to_n - (to_n * along).sum(-1, keepdim=True) * along, dim=-1)
    return torch.stack([along, aside, torch.linalg.cross(along, aside)], dim=-1)


def _torsions(atoms: Tensor, chains: Chains) -> Tensor:
    """(R, 6) sine and cosine of phi and psi, zero where there is none, and whether there are."""
    n, ca, c = atoms[:, _N], atoms[:, _CA], atoms[:, _C]
    starts = torch.zeros(len(atoms), dtype=torch.bool, device=atoms.device)
    starts[chains.lengths.cumsum(0)[:-1].to(atoms.device)] = True
    bonded = ((n[1:] - c[:-1]).norm(dim=-1) < _BOND) & chains.complete[1:] & chains.complete[:-1] & ~starts[1:]
    after, before = F.pad(bonded, (1, 0)).to(atoms.dtype), F.pad(bonded, (0, 1)).to(atoms.dtype)
    phi = _sine_and_cosine(c.roll(1, 0), n, ca, c) * after.unsqueeze(-1)
    psi = _sine_and_cosine(n, ca, c, n.roll(-1, 0)) * before.unsqueeze(-1)
    return torch.cat([phi, psi, after.unsqueeze(-1), before.unsqueeze(-1)], dim=-1)


def _sine_and_cosine(first: Tensor, second: Tensor, third: Tensor, fourth: Tensor) -> Tensor:
    """(R, 2) of the dihedral angles of four points."""
    axis = third - second
    one = torch.linalg.cross(second - first, axis)
    other = torch.linalg.cross(axis, fourth - third)
    cosine = (one * other).sum(-1)
    sine = (torch.linalg.cross(one, other) * F.normalize(axis, dim=-1)).sum(-1)
    return F.normalize(torch.stack([sine, cosine], dim=-1), dim=-1)
