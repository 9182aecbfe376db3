"""Chains that are cut in two: where, into what, and what is left out."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import ALL_TYPES, helix, moved, pdb, write

from resblock.errors import InputError
from resblock.evaluation.homologues import find_homologues
from resblock.pairs import Cutting, load_complex, load_complexes, prepare_pseudo_dimers
from resblock.pairs.labels import contact_areas
from resblock.pairs.pseudo_dimers import _crossing, find_cuts, find_structures
from resblock.pairs.variants import residue_contacts
from resblock.structure import PartnerFeatures, read_partner

LENGTH = 40
SMALL = Cutting(chain=60, part=20, contacts=5, apart=10)


def hairpins(count, chain="A"):
    """Helices side by side in one chain: the fewest contacts cross between two of them."""
    atoms = []
    for k in range(count):
        side = moved(helix(ALL_TYPES * (LENGTH // 20), start=1 + k * LENGTH), shift=(0.0, 12.0 * k, 0.0), chain=chain)
        atoms += side
    return atoms


@pytest.fixture
def chain(tmp_path):
    return read_partner(write(tmp_path / "chain.pdb", hairpins(3)))


def test_crossing_contacts_are_counted_as_by_loops(chain):
    pairs = residue_contacts(chain.coordinates, chain.atom_residue)
    places = np.arange(5, len(chain) - 5)
    for left_out in (0, 2, 5):
        expected = [int(((pairs[:, 0] < k - left_out) & (pairs[:, 1] >= k + left_out)).sum()) for k in places]
        assert _crossing(pairs, places, left_out).tolist() == expected
        assert max(expected) > 10


def test_chains_are_cut_where_few_contacts_cross(chain):
    cuts = find_cuts(chain, SMALL)
    assert 1 <= len(cuts) <= 3
    pairs = residue_contacts(chain.coordinates, chain.atom_residue)
    places = np.arange(22, len(chain) - 21)
    crossing = dict(zip(places.tolist(), _crossing(pairs, places, 2).tolist(), strict=True))
    assert cuts[0].contacts == min(count for count in crossing.values() if count >= 5)
    assert [cut.contacts for cut in cuts] == sorted(cut.contacts for cut in cuts)
    for cut in cuts:
        assert crossing[cut.place] == cut.contacts
        assert cut.depth == pytest.approx(cut.contacts / np.median(list(crossing.values())))
        assert all(crossing.get(cut.place + step, 99) >= cut.contacts for step in (-1, 1))
    gaps = np.diff(sorted(cut.place for cut in cuts))
    assert (gaps > 10).all()


def test_parts_are_not_denser_in_contacts_than_asked_for(chain):
    def densities(limit):
        cuts = find_cuts(chain, replace(SMALL, density=limit))
        return [cut.contacts / np.sqrt((cut.place - 2) * (len(chain) - cut.place - 2)) for cut in cuts]

    free = densities(10.0)
    assert len(free) > 1
    middle = (min(free) + max(free)) / 2
    assert 0 < max(densities(middle)) <= middle < max(free)


@pytest.mark.parametrize(
    "change",
    [{"chain": 121}, {"part": 60}, {"contacts": 10_000}, {"most_contacts": 1, "contacts": 1}, {"density": 0.05}],
)
def test_limits_leave_a_chain_whole(change, chain):
    assert find_cuts(chain, SMALL)
    assert find_cuts(chain, replace(SMALL, **change)) == []
    assert len(find_cuts(chain, replace(SMALL, cuts=1))) == 1


def test_parts_are_dimers_of_their_own(tmp_path):
    write(tmp_path / "set" / "deep" / "1ABC.pdb", hairpins(3))
    summary = prepare_pseudo_dimers(tmp_path / "set", tmp_path / "out", cutting=SMALL, jobs=1)
    assert summary.done
    whole = read_partner(tmp_path / "set" / "deep" / "1ABC.pdb")
    for entry in summary.done:
        dimer = load_complex(tmp_path / "out" / f"{entry.code}.npz")
        assert entry.code.startswith("1ABC.c1-cut")
        assert (dimer.kind, dimer.origin, dimer.conformations) == ("pseudo-dimer", "1ABC", ("cut", "cut"))
        assert dimer.sides == ("receptor", "receptor")
        (cut,) = [one for one in find_cuts(whole, SMALL) if one.place == len(dimer.receptor) + 2]
        assert len(dimer.receptor) + len(dimer.ligand) == len(whole) - 4
        parts = whole.part(0, cut.place - 2), whole.part(cut.place + 2, len(whole))
        for partner, part in zip(dimer.partners, parts, strict=True):
            np.testing.assert_array_equal(partner.features, PartnerFeatures.of(part).features)
            assert partner.sequence == ("".join(ALL_TYPES * 6),)
        assert dimer.receptor.sequence_index.tolist() == list(range(cut.place - 2))
        assert dimer.ligand.sequence_index.tolist() == list(range(cut.place + 2, len(whole)))
        assert not dimer.ligand.linked[0]
        np.testing.assert_allclose(dimer.contact_area, contact_areas(*parts), rtol=1e-5)


def test_the_parts_of_a_chain_are_homologues_of_what_it_is_one_of(tmp_path):
    write(tmp_path / "set" / "1ABC.pdb", hairpins(3))
    prepare_pseudo_dimers(tmp_path / "set", tmp_path / "out", cutting=SMALL, jobs=1)
    dimers = load_complexes(tmp_path / "out")
    found = find_homologues(dimers)
    assert len(dimers) > 1
    assert all(len(others) == len(dimers) - 1 for others in found.values())


def test_equal_chains_are_cut_once(tmp_path):
    complex = tmp_path / "set" / "2DEF"
    write(complex / "receptor_bound.pdb", hairpins(3))
    write(complex / "receptor_unbound.pdb", hairpins(3))
    write(complex / "ligand_bound.pdb", moved(hairpins(3), shift=(60.0, 0.0, 0.0), chain="B"))
    (tmp_path / "set" / "3SMA.pdb").write_text(pdb(helix(ALL_TYPES)))
    summary = prepare_pseudo_dimers(tmp_path / "set", tmp_path / "out", cutting=SMALL, jobs=1)
    assert {entry.code.partition("-")[0] for entry in summary.done} == {"2DEF.l1"}
    (nothing,) = summary.having("empty")
    assert (nothing.code, nothing.reason) == (
        "3SMA",
        "no chain of 60 residues with a place where 5 to 160 contacts cross, 0.8 for each residue of its parts at most",
    )
    again = prepare_pseudo_dimers(tmp_path / "set", tmp_path / "out", cutting=SMALL, jobs=1)
    assert (len(again.unchanged), len(again.done)) == (len(summary.done), 0)
    fewer = prepare_pseudo_dimers(tmp_path / "set", tmp_path / "out", cutting=replace(SMALL, cuts=1), jobs=1)
    assert len(fewer.done) == 1 == len(list((tmp_path / "out").glob("*.npz")))


def test_impossible_folders_and_cuts(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        find_structures(tmp_path / "none")
    with pytest.raises(InputError, match="no structure file"):
        find_structures(tmp_path)
    for folder in "ab":
        write(tmp_path / folder / "1ABC.pdb", helix(ALL_TYPES))
    with pytest.raises(InputError, match=r"b/1ABC\.pdb: .*a/1ABC\.pdb has the same name"):
        find_structures(tmp_path)
    with pytest.raises(InputError, match="--cuts 0"):
        prepare_pseudo_dimers(tmp_path / "a", tmp_path / "out", cutting=Cutting(cuts=0))


def test_prepare_cuts_chains_on_request(run, tmp_path):
    write(tmp_path / "set" / "1ABC.pdb", hairpins(3))
    write(tmp_path / "set" / "2DEF.pdb", helix(ALL_TYPES))
    given = "prepare", tmp_path / "set", "--out", tmp_path / "out", "--pseudo-dimers", "--jobs", "1"
    status, text, _ = run(*given, "--cuts", "1")
    assert status == 0
    assert text.startswith("1 complexes: 1 prepared, 0 unchanged, 0 failed.")
    assert "pseudo-dimer: 1\n1 structures have none: no chain of 110 residues" in text
    for option in ("--bound", "--interfaces"):
        status, _, err = run(*given, option)
        assert status == 2
        assert "--pseudo-dimers cuts every chain" in err
