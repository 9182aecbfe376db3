"""What a user gives for a partner: files, entries of the PDB archive, UniProt accessions."""

import contextlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from synthetic import helix, write
from web import IMPATIENT, serving

from resblock.errors import InputError
from resblock.structure.fetch import Identifier, Located, locate, parse_identifier

CLASSIC = st.from_regex(r"[1-9][A-Z0-9]{3}", fullmatch=True)
EXTENDED = st.from_regex(r"pdb_1[a-z0-9]{7}", fullmatch=True)
#: As https://www.uniprot.org/help/accession_numbers has it.
ACCESSIONS = st.from_regex(
    r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9]([A-Z][A-Z0-9]{2}[0-9]){1,2}", fullmatch=True
) | st.from_regex(r"[OPQ][0-9][A-Z0-9]{3}[0-9]-[1-9]", fullmatch=True)
CHAINS = st.none() | st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,5}", fullmatch=True), min_size=1, max_size=4)
SPACE = st.text(" \t", max_size=2)


def with_chains(draw, name, chains):
    """As a person could write it: spaces around anything, letters of either size."""
    name = draw(st.sampled_from([str.upper, str.lower, str]))(name)
    words = [name] if chains is None else [name, ":", *(word for chain in chains for word in (chain, ","))][:-1]
    return "".join(draw(SPACE) + word + draw(SPACE) for word in words)


@st.composite
def written(draw):
    chains = draw(CHAINS)
    bank, name = draw(
        CLASSIC.map(lambda name: ("PDB", name))
        | EXTENDED.map(lambda name: ("PDB", name))
        | ACCESSIONS.map(lambda name: ("UniProt", name))
    )
    longer = f"pdb_0000{name}" if len(name) == 4 and draw(st.booleans()) else name
    return with_chains(draw, longer, chains), Identifier(bank, name, None if chains is None else tuple(chains))


@given(written())
def test_identifiers_are_told(pair):
    text, identifier = pair
    assert parse_identifier(text) == identifier


@given(st.text(max_size=20) | st.text("1aB:, _-pdbPDBQ0", max_size=14))
def test_any_text_is_an_identifier_or_not(text):
    with contextlib.suppress(InputError):
        identifier = parse_identifier(text)
        if identifier is not None:
            chains = "" if identifier.chains is None else ":" + ",".join(identifier.chains)
            assert parse_identifier(identifier.name + chains) == identifier


NO_ENTRIES = ["0ABC", "ABCD", "1BR", "1BRSA", "1BRS_A", "1brs.pdb", "1B RS", "\uff11BRS", "1BR\u017f"]
NO_EXTENDED_ENTRIES = ["pdb_1brs", "pdb_00000abc", "pdb_1brsx", "pdb_10001abcd"]
NO_ACCESSIONS = ["P1154", "P1154O", "P115400", "A0A0", "AF-P11540-F1", "P11540-", "P11540-0"]


@pytest.mark.parametrize("text", ["", " ", ":A", *NO_ENTRIES, *NO_EXTENDED_ENTRIES, *NO_ACCESSIONS])
def test_what_is_no_identifier(text):
    assert parse_identifier(text) is None


@pytest.mark.parametrize("text", ["1BRS:", "1BRS: ", "1BRS:,", "1BRS:A,", "1BRS:A,,B", "P11540:A:B", "1BRS:A\0B"])
def test_a_colon_wants_chains(text):
    with pytest.raises(InputError, match=r"^(1BRS|P11540): '.*' after the colon are no names of chains; give them as"):
        parse_identifier(text)


def test_standard_input_is_only_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "-", helix("AAAA"))
    assert locate("-") == Located("-", "standard input")
    assert locate("./-").path == "./-"


@pytest.mark.parametrize("name", ["x.pdb", "1BRS", "P11540", "1BRS:A", "pdb_00001brs", "a file", "x:A"])
def test_a_file_wins(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name, helix("AAAA"))
    assert locate(name) == Located(name, name)
    assert locate(str(tmp_path / name)).path == str(tmp_path / name)


def test_what_is_no_plain_file_may_be_one_nevertheless(tmp_path):
    assert locate("/dev/stdin").path == "/dev/stdin"


def test_a_directory_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "1BRS").mkdir()
    with pytest.raises(InputError, match=r"^results: is a directory; give a file$"):
        locate("results")
    monkeypatch.setenv("no_proxy", "*")
    with serving() as web:
        monkeypatch.setenv("RESBLOCK_PDB_URL", f"{web.address}/{{id}}")
        monkeypatch.setenv("RESBLOCK_CACHE", str(tmp_path / "cache"))
        with pytest.raises(InputError, match="no entry 1BRS"):
            locate("1BRS", IMPATIENT)


@given(st.text(max_size=12).filter(lambda text: not re.search(r"^\s*[0-9a-zA-Z_-]{4,12}\s*(:|$)|^[./]*$|^-$", text)))
@example("1brs.pdb")
@example("C:\\structures\\1brs.pdb")
@example("results/1BRS:A")
@example("x" * 5000)
@example("\0")
def test_what_is_neither_says_what_was_looked_for(text):
    with pytest.raises(InputError, match="no such file, and neither an entry of the PDB archive") as caught:
        locate(text)
    assert str(caught.value).isprintable()
