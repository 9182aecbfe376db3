"""Entries of the PDB archive and models of AlphaFold DB, as files in the cache directory."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any, Final

from resblock.errors import InputError
from resblock.files import cache_directory, decompressed, max_text, read_bytes, write_atomically
from resblock.structure.download import DownloadError, NotFoundError, Patience, download, web_address
from resblock.structure.fetch import Identifier, pdb_name

#: Where entries are, and the answers about models, without the variables of the environment.
PDB_URL: Final = "https://files.rcsb.org/download/{id}.cif.gz"
ALPHAFOLD_URL: Final = "https://alphafold.ebi.ac.uk/api/prediction/{accession}"

#: What an mmCIF file calls itself, and the protein that it is a model of.
_NAMES: Final = re.compile(
    rb"^(?:_entry\.id|_ma_target_ref_db_details\.db_accession)[ \t]+['\"]?([^\s'\"]+)", re.MULTILINE
)
_MODEL: Final = re.compile(r"AF-.*-model_v([0-9]+)\.cif\.gz")
#: Bytes of an answer of the API, which has a few thousand.
_MAX_ANSWER: Final = 16 << 20


def find(identifier: Identifier, patience: Patience | None = None) -> tuple[Path, str]:
    """File of an entry, and a remark about where it comes from; what is in the cache is not downloaded again.

    Raises
    ------
    InputError
        There is no such entry, or it cannot be downloaded.
    """
    of_bank = _pdb_entry if identifier.bank == "PDB" else _alphafold_model
    return of_bank(identifier, patience or Patience())


def _pdb_entry(identifier: Identifier, patience: Patience) -> tuple[Path, str]:
    name = identifier.name.lower()
    entry = _cache() / f"{name}.cif.gz"
    if not _holds(entry, identifier):
        template = _template("RESBLOCK_PDB_URL", os.environ.get("RESBLOCK_PDB_URL") or PDB_URL, "{id}")
        # Copies of the archive are divided by the two characters before the last.
        url = template.replace("{id}", name).replace("{hash}", name[-3:-1])
        try:
            _fetch(url, entry, identifier, patience)
        except NotFoundError:
            raise InputError(
                f"{identifier.name}: no such file, and no entry {identifier.name} in the PDB archive ({url}); if it is "
                f"obsolete, https://www.rcsb.org/structure/{identifier.name} says what took its place"
            ) from None
        except DownloadError as error:
            raise _not_downloaded(identifier, error, url, "RESBLOCK_PDB_URL") from None
    return entry, "entry of the PDB archive"


def _alphafold_model(identifier: Identifier, patience: Patience) -> tuple[Path, str]:
    name = identifier.name
    variable = "RESBLOCK_ALPHAFOLD_URL"
    template = _template(variable, os.environ.get("RESBLOCK_ALPHAFOLD_URL") or ALPHAFOLD_URL, "{accession}")
    api = template.replace("{accession}", name)
    try:
        version, url = _current(name, api, download(api, _MAX_ANSWER, patience))
        entry = _cache() / f"AF-{name}-F1-model_v{version}.cif.gz"
        if not _holds(entry, identifier):
            _fetch(url, entry, identifier, patience)
    except NotFoundError:
        raise InputError(
            f"{name}: no such file, and no model of {name} in AlphaFold DB ({api}); give a file with a structure"
        ) from None
    except DownloadError as error:
        for version, entry in _models_at_hand(name):
            if _holds(entry, identifier):
                return entry, f"version {version} of the model in AlphaFold DB, as it was in the cache ({error})"
        raise _not_downloaded(identifier, error, f"https://alphafold.ebi.ac.uk/entry/{name}", variable) from None
    return entry, f"version {version} of the model in AlphaFold DB"


def _current(accession: str, api: str, answer: bytes) -> tuple[int, str]:
    """Version of the model and where its file is, by an answer of AlphaFold DB's API."""
    here = web_address(api)
    try:
        models: Any = json.loads(answer)
    except (ValueError, RecursionError):
        raise DownloadError(f"what {here.netloc} answers is no JSON") from None
    models = [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []
    models = [model for model in models if model.get("uniprotAccession") == accession]
    # Isoforms may be listed together with the protein.
    models.sort(key=lambda model: f"AF-{accession}-F1" not in (model.get("entryId"), model.get("modelEntityId")))
    model: dict[str, Any] = models[0] if models else {}
    version, url = model.get("latestVersion"), model.get("cifUrl")
    if not isinstance(version, int) or not isinstance(url, str):
        wanted = "uniprotAccession, latestVersion, cifUrl"
        raise DownloadError(f"the answer of {here.netloc} names no file of a model of {accession} ({wanted})")
    there = web_address(url)
    if there.netloc != here.netloc or there.scheme not in ("https", here.scheme):
        raise DownloadError(f"{here.netloc} names a file that it does not have itself ({url[:80]!r})")
    return version, url


def _models_at_hand(accession: str) -> list[tuple[int, Path]]:
    """Cached models with their versions, the newest first."""
    found = _cache().glob(f"AF-{accession}-F1-model_v*.cif.gz")
    return sorted(((int(match[1]), path) for path in found if (match := _MODEL.fullmatch(path.name))), reverse=True)


def _cache() -> Path:
    return cache_directory() / "structures"


def _template(variable: str, value: str, field: str) -> str:
    """Check an address with a field that is replaced."""
    try:
        web_address(value)
    except DownloadError as error:
        raise InputError(f"{variable}: {error}; give one with {field} in it") from None
    if field not in value:
        raise InputError(f"{variable} is {value!r}; it must have {field} in it")
    return value


def _fetch(url: str, entry: Path, identifier: Identifier, patience: Patience) -> None:
    """Download a file of this entry into the cache."""
    content = download(url, max_text() << 20, patience)
    text = decompressed(url, content)
    if not _is(text, identifier):
        raise DownloadError(f"what {web_address(url).netloc} sends is no mmCIF file of {identifier.name}")
    # Only a compressed file tells when it was cut or damaged later.
    packed = content if content is not text else gzip.compress(content, mtime=0)
    try:
        write_atomically(entry, lambda stream: stream.write(packed))
    except OSError as error:
        raise InputError(
            f"{entry}: cannot be written ({error.strerror or error}); set RESBLOCK_CACHE to a directory that can be"
        ) from None


def _not_downloaded(identifier: Identifier, error: DownloadError, page: str, variable: str) -> InputError:
    return InputError(
        f"{identifier.name}: not downloaded, {error}; download {page} on another machine and give the file, or set "
        f"{variable} to a copy within reach"
    )


def _holds(entry: Path, identifier: Identifier) -> bool:
    """Whether a file of the cache is there, whole, and of this entry."""
    try:
        return _is(read_bytes(entry), identifier)
    except InputError:
        return False


def _is(text: bytes, identifier: Identifier) -> bool:
    """Whether an mmCIF file says that it is this entry, or a model of this protein."""
    names = {name.decode("ascii", "replace") for name in _NAMES.findall(text.partition(b"\n_atom_site.")[0])}
    if identifier.bank == "PDB":
        return identifier.name in map(pdb_name, names)
    return not names.isdisjoint((identifier.name, f"AF-{identifier.name}-F1"))
