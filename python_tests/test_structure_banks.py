"""Entries of the PDB archive and models of AlphaFold DB, from a web server on this machine."""

import gzip
import json
import os
import socket
import subprocess
import sys
import threading

import pytest
from synthetic import helix, mmcif, moved, pdb
from web import IMPATIENT, Answer, redirect, serving

from resblock.errors import InputError
from resblock.structure import read_partner
from resblock.structure.fetch import locate

CHAINS = helix("MKEALRD", "A") + moved(helix("QSWHNG", "D", 20), shift=(30.0, 0.0, 0.0))
HTML = b"<!DOCTYPE html>\n<html><body>Log in to the network</body></html>\n"


def entry(name, atoms=CHAINS):
    return mmcif(atoms).replace("data_made\n#\n", f"data_{name}\n#\n_entry.id   {name}\n#\n").encode()


def packed(name):
    return gzip.compress(entry(name))


def api(web, accession="P11540", version=6, **changes):
    url = f"{web.address}/files/AF-{accession}-F1-model_v{version}.cif"
    name = f"AF-{accession}-F1"
    answer = {"entryId": name, "uniprotAccession": accession, "latestVersion": version, "cifUrl": url} | changes
    return Answer(json.dumps([answer]).encode())


@pytest.fixture
def web(cache, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("RESBLOCK_MAX_TEXT", raising=False)
    with serving() as web:
        monkeypatch.setenv("RESBLOCK_PDB_URL", f"{web.address}/{{id}}.cif.gz")
        monkeypatch.setenv("RESBLOCK_ALPHAFOLD_URL", f"{web.address}/api/{{accession}}")
        web["/1brs.cif.gz"] = Answer(packed("1BRS"))
        web["/api/P11540"] = api(web)
        web["/files/AF-P11540-F1-model_v6.cif"] = Answer(entry("AF-P11540-F1"))
        yield web


def get(source):
    return locate(source, IMPATIENT)


def refused(source, message):
    with pytest.raises(InputError, match=message) as caught:
        get(source)
    assert "\n" not in str(caught.value)


def test_an_entry_and_its_chains(web, cache):
    found = get("1brs: D ,A")
    assert found.chains == ("D", "A")
    assert (found.name, found.remark) == ("1BRS", "entry of the PDB archive")
    assert found.path == str(cache / "structures" / "1brs.cif.gz")
    assert read_partner(found.path, found.chains).chains == ("D", "A")
    assert get("1BRS").chains is None


@pytest.mark.parametrize("source", ["1BRS", "1brs", "pdb_00001brs", "PDB_00001BRS:A"])
def test_one_entry_under_all_its_names(source, web):
    get(source)
    get("1BRS")
    assert web.requests == ["/1brs.cif.gz"]


def test_an_entry_of_the_new_names(web):
    web["/pdb_1000abcd.cif.gz"] = Answer(packed("pdb_1000abcd"))
    assert get("pdb_1000ABCD:A").name == "pdb_1000abcd"


@pytest.mark.parametrize("own", ["1brs", "pdb_00001brs", "'1BRS'"])
def test_an_entry_may_spell_itself_otherwise(own, web):
    web["/1brs.cif.gz"] = Answer(packed(own))
    get("1BRS")


def test_a_divided_copy_of_plain_files(web, monkeypatch):
    monkeypatch.setenv("RESBLOCK_PDB_URL", f"{web.address}/mmCIF/{{hash}}/{{id}}.cif")
    web["/mmCIF/br/1brs.cif"] = Answer(entry("1BRS"))
    web["/mmCIF/bc/pdb_1000abcd.cif"] = Answer(entry("PDB_1000ABCD"))
    assert read_partner(get("1BRS").path).chains == ("A", "D")
    get("pdb_1000abcd")
    with gzip.open(get("1BRS").path) as file:
        assert file.read() == entry("1BRS")


def test_no_such_entry(web, cache):
    refused(
        "9XYZ", r"^9XYZ: no such file, and no entry 9XYZ in the PDB archive \(http.*/9xyz.cif.gz\); if it is obsolete"
    )
    assert len(web.requests) == 1
    assert not list(cache.rglob("*.gz"))


@pytest.mark.parametrize(
    "content", [HTML, packed("1BRT"), entry("AF-P11540-F1"), pdb(CHAINS).encode(), mmcif(CHAINS).encode(), b"\0" * 99]
)
def test_something_else_comes(content, web, cache):
    web["/1brs.cif.gz"] = Answer(content)
    refused(
        "1BRS", r"^1BRS: not downloaded, what 127.* sends is no mmCIF file of 1BRS; download http.*1brs.cif.gz on ano"
    )
    assert not list(cache.rglob("*.gz"))


def test_an_entry_that_only_mentions_the_other(web):
    web["/1brs.cif.gz"] = Answer(entry("1BRT") + b"_entry.id 1BRS\n")
    refused("1BRS", "no mmCIF file of 1BRS")


@pytest.mark.parametrize("content", [packed("1BRS")[:-20], packed("1BRS")[:100] + b"\xff" * 50, b"\x1f\x8b"])
def test_damaged_compression(content, web, cache):
    web["/1brs.cif.gz"] = Answer(content)
    refused("1BRS", r"1brs\.cif\.gz: damaged gzip file \(.*\); copy or download it again$")
    assert not list(cache.rglob("*.gz"))


def test_nothing_comes(web):
    web["/1brs.cif.gz"] = Answer(b"")
    refused("1BRS", "the file is empty")


def test_too_much_comes(web, monkeypatch):
    web["/1brs.cif.gz"] = Answer(b"x", declared=10 << 30)
    refused("1BRS", "^1BRS: not downloaded, 127.* has 10240 MiB to send, and 512 MiB are allowed; download")
    monkeypatch.setenv("RESBLOCK_MAX_TEXT", "1")
    web["/1brs.cif.gz"] = Answer(gzip.compress(entry("1BRS") + bytes(1 << 20)))
    refused("1BRS", "holds more than 1 MiB of text; .* set RESBLOCK_MAX_TEXT")


def test_cut_short_then_whole(web):
    whole = packed("1BRS")
    web["/1brs.cif.gz"] = [Answer(whole[:100], declared=len(whole)), Answer(status=503), Answer(whole)]
    assert read_partner(get("1BRS").path).chains == ("A", "D")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"x", declared=9), "stopped after 1 of 9 bytes in each of 3 attempts"),
        (Answer(status=500), "answers 500 Internal Server Error in each of 3 attempts"),
        (Answer(delay=0.6), r"did not answer within 0.3 s in each of 3 attempts"),
        (redirect("/1brs.cif.gz"), "redirects in a circle"),
        (redirect("file:///etc/hostname"), "redirects in a circle, or to what is no web address"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(answer, reason, web):
    web["/1brs.cif.gz"] = answer
    refused(
        "1BRS", f"^1BRS: not downloaded, 127.* {reason}.*; download http.* and give the file, or set RESBLOCK_PDB_URL"
    )


def test_offline(web, monkeypatch):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{place.getsockname()[1]}"
    get("1BRS"), get("P11540")
    monkeypatch.setenv("RESBLOCK_PDB_URL", nobody + "/{id}")
    monkeypatch.setenv("RESBLOCK_ALPHAFOLD_URL", nobody + "/{accession}")
    assert get("1BRS").remark == "entry of the PDB archive"
    refused(
        "2XYZ", rf"^2XYZ: not downloaded, no connection to 127.*; download {nobody}/2xyz on another machine and give"
    )
    found = get("P11540")
    assert "version 6 of the model in AlphaFold DB, as it was in the cache (no connection to 127" in found.remark
    assert found.path.endswith("AF-P11540-F1-model_v6.cif.gz")
    refused("P11541", r"not downloaded, no connection to 127.*; download https://alphafold.ebi.ac.uk/entry/P11541 on")


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"", lambda b: HTML, lambda b: packed("1BRT")])
def test_a_damaged_file_of_the_cache_is_fetched_again(damage, web, cache):
    path = cache / "structures" / "1brs.cif.gz"
    get("1BRS")
    path.write_bytes(damage(path.read_bytes()))
    get("1BRS")
    assert len(web.requests) == 2
    assert path.read_bytes() == packed("1BRS") or gzip.decompress(path.read_bytes()) == entry("1BRS")


def test_a_cache_that_cannot_be_written(web, cache):
    cache.write_text("a file where a directory should be")
    refused("1BRS", r"structures/1brs.cif.gz: cannot be written \(.*\); set RESBLOCK_CACHE to a directory that can be")


def test_two_processes_at_once(web, cache):
    web.gate = threading.Barrier(2)
    program = "from resblock.structure.fetch import locate; print(locate('1BRS').path)"
    places = os.environ | {"PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=places) for _ in range(2)]
    printed = {process.communicate(timeout=60)[0].decode().strip() for process in both}
    assert printed == {str(cache / "structures" / "1brs.cif.gz")}
    assert [path.name for path in (cache / "structures").iterdir()] == ["1brs.cif.gz"]
    web.gate = None
    assert read_partner(get("1BRS").path).chains == ("A", "D")
    assert len(web.requests) == 2


def test_a_model_and_its_version(web, cache):
    found = get("p11540:A")
    assert (found.name, found.chains) == ("P11540", ("A",))
    assert found.remark == "version 6 of the model in AlphaFold DB"
    assert found.path == str(cache / "structures" / "AF-P11540-F1-model_v6.cif.gz")
    assert read_partner(found.path, found.chains).chains == ("A",)
    get("P11540")
    assert web.requests == ["/api/P11540", "/files/AF-P11540-F1-model_v6.cif", "/api/P11540"]


def test_a_new_version_is_fetched(web):
    get("P11540")
    web["/api/P11540"] = api(web, version=10)
    web["/files/AF-P11540-F1-model_v10.cif"] = Answer(entry("AF-P11540-F1"))
    assert get("P11540").path.endswith("model_v10.cif.gz")
    web["/api/P11540"] = Answer(status=500)
    found = get("P11540")
    assert found.path.endswith("model_v10.cif.gz")
    assert "version 10 of the model in AlphaFold DB, as it was in the cache" in found.remark
    with open(found.path, "wb"):
        assert get("P11540").path.endswith("model_v6.cif.gz")


def test_isoforms_and_other_entries_of_the_answer(web):
    (own,) = json.loads(api(web).body)
    isoform = own | {"entryId": "AF-P11540-2-F1", "cifUrl": f"{web.address}/wrong"}
    other = own | {"uniprotAccession": "P00648", "entryId": "AF-P00648-F1", "cifUrl": f"{web.address}/wrong"}
    web["/api/P11540"] = Answer(json.dumps([None, isoform, other, own]).encode())
    get("P11540")
    web["/api/P11540-2"] = api(web, "P11540-2")
    web["/files/AF-P11540-2-F1-model_v6.cif"] = Answer(entry("AF-P11540-2-F1"))
    assert get("p11540-2").path.endswith("AF-P11540-2-F1-model_v6.cif.gz")


def test_a_model_whose_file_names_the_protein_only(web):
    text = entry("MODEL").replace(b"#\n", b"#\n_ma_target_ref_db_details.db_accession  P11540\n", 1)
    web["/files/AF-P11540-F1-model_v6.cif"] = Answer(text)
    get("P11540")


def test_no_model(web):
    refused(
        "Q99999", r"^Q99999: no such file, and no model of Q99999 in AlphaFold DB \(http.*/api/Q99999\); give a file"
    )


@pytest.mark.parametrize("body", [HTML, b"", b"\xff\xfe", b"[" * 100_000])
def test_an_answer_that_is_no_json(body, web):
    web["/api/P11540"] = Answer(body)
    refused(
        "P11540", r"^P11540: not downloaded, what 127.* answers is no JSON; download https://alphafold.ebi.ac.uk/entry/"
    )


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"7", b"[[]]", b'{"error": "x"}'])
def test_an_answer_that_names_nothing(body, web):
    web["/api/P11540"] = Answer(body)
    refused("P11540", "the answer of 127.* names no file of a model of P11540")


@pytest.mark.parametrize(
    "changes", [{"cifUrl": None}, {"latestVersion": "6"}, {"latestVersion": None}, {"uniprotAccession": "P00648"}]
)
def test_an_answer_that_lacks_something(changes, web):
    web["/api/P11540"] = api(web, **changes)
    refused("P11540", "the answer of 127.* names no file of a model of P11540")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://evil.example/AF-P11540-F1-model_v6.cif", "names a file that it does not have itself"),
        ("http://127.0.0.1:1/AF-P11540-F1-model_v6.cif", "names a file that it does not have itself"),
        ("file:///etc/hostname", "is no web address"),
        ("/files/AF-P11540-F1-model_v6.cif", "is no web address"),
        ("http://[", "is no web address"),
        ("http://127.0.0.1/\n", "is no web address"),
    ],
)
def test_an_answer_that_leads_elsewhere(url, reason, web):
    web["/api/P11540"] = api(web, cifUrl=url)
    refused("P11540", f"^P11540: not downloaded, .*{reason}")
    assert web.requests == ["/api/P11540"]


def test_a_model_of_another_protein(web):
    web["/files/AF-P11540-F1-model_v6.cif"] = Answer(entry("AF-P00648-F1"))
    refused("P11540", "sends is no mmCIF file of P11540")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "files.rcsb.org/{id}",
            r"^RESBLOCK_PDB_URL: 'files.rcsb.org/\{id\}' is no web address; give one with \{id\} in",
        ),
        ("ftp://files.rcsb.org/{id}", "is no web address"),
        ("https:///{id}", "is no web address"),
        ("https://a b/{id}", "is no web address"),
        ("https://a:99999/{id}", "is no web address"),
        ("https://files.rcsb.org/download", r"^RESBLOCK_PDB_URL is 'https.*'; it must have \{id\} in it"),
    ],
)
def test_settings_that_cannot_be_used(value, message, web, monkeypatch):
    monkeypatch.setenv("RESBLOCK_PDB_URL", value)
    refused("1BRS", message)
    monkeypatch.setenv("RESBLOCK_ALPHAFOLD_URL", value.replace("id", "accession"))
    refused("P11540", message.replace("PDB", "ALPHAFOLD").replace("id", "accession"))
