"""What the documentation names exists: links, commands, settings, variables, files, names of Python; its code runs."""

import importlib
import importlib.util
import itertools
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from resblock.cli import app
from resblock.models import KINDS, settings
from resblock.training.config import KIND, TrainingConfig, resolve_config
from resblock.training.pretraining import Settings

ROOT = Path(__file__).resolve().parents[1]
HAND_WRITTEN = ["*.md", "docs/*.md", "docs/notes/*.md", "bench/*.md", "csrc/tests/*.md", "resblock/*/*.md"]
PAGES = {str(path.relative_to(ROOT)): path for glob in HAND_WRITTEN for path in sorted(ROOT.glob(glob))}
SOURCES = ["resblock/**/*.py", "csrc/**/*.[chip]*", "bench/*.py", "python_tests/*.py", "CMakeLists.txt"]
GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands
OPTIONS = {
    name: {"--help", *(word for param in command.params for word in param.opts)} for name, command in COMMANDS.items()
}
#: Options of other programs that the pages name by themselves.
OTHERS = {"--extra-index-url", "--select", "--size"}

every_page = pytest.mark.parametrize("page", PAGES)


def text_of(page):
    text = PAGES[page].read_text(encoding="utf-8")
    if page == "CHANGELOG.md":
        # The first column has what 0.1.0 had.
        news, heading, tables = text.partition("\n## From 0.1.0\n")
        text = news + heading + re.sub(r"^\|[^|]*", "|", tables, flags=re.MULTILINE)
    return text


def code(page):
    """Lines of code blocks, and what stands between backticks in the prose."""
    prose, lines, fenced = [], [], False
    for line in text_of(page).splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(line.strip())
        else:
            prose.append(line)
    joined = re.sub(r"\\ ?\n", "", "\n".join(lines)).splitlines()
    return joined, re.findall(r"`([^`]+)`", " ".join(prose))


def python_blocks(page):
    return "\n".join(re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL))


def anchors(path):
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def calls(page):
    """Each call of the command line as a list of words, from its subcommand on."""
    lines, spans = code(page)
    for line in lines + spans:
        for call in re.findall(r"(?:^|&& |-m |the )resblock ([a-z][^#;|&]*)", line):
            yield shlex.split(call)


def test_readme_is_one_screen_or_two():
    assert len(text_of("README.md").splitlines()) <= 100


def test_configuration_is_what_its_script_writes():
    spec = importlib.util.spec_from_file_location("make_configuration", ROOT / "docs" / "make_configuration.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.page() == script.PAGE.read_text(), "run `python docs/make_configuration.py`"


@every_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (PAGES[page].parent / name).resolve() if name else PAGES[page]
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@every_page
def test_commands_and_their_options_exist(page):
    for command, *words in calls(page):
        assert command in COMMANDS, f"resblock {command}"
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in OPTIONS[command], f"resblock {command} {word}"
    known = set(OTHERS).union(*OPTIONS.values(), *(param.opts for param in GROUP.params))
    if not page.startswith(("bench", "CONTRIBUTING", "CHANGELOG")):
        alone = {span.split()[0] for span in code(page)[1] if span.startswith("--")}
        assert alone <= known


@every_page
def test_settings_can_be_set(page):
    for command, *words in calls(page):
        pairs = list(itertools.pairwise(words))
        chosen = tuple(value for word, value in pairs if word == "--set" and value != "section.field=value")
        if command == "pretrain":
            Settings.of(chosen)
            continue
        for preset in [value for word, value in pairs if word == "--preset"] or ["paper"]:
            resolve_config(preset, None, chosen)
    fields = TrainingConfig().values()
    fields["model"] = {KIND, *(name for kind in KINDS.values() for name in settings(kind.Config()))}
    for span in code(page)[1]:
        for section, field in re.findall(r"(?<![\w./])(data|model|optimisation)\.(\w+)(?![\w.]*\()", span):
            assert field in fields[section], span


def test_environment_variables_are_those_that_the_code_reads():
    files = [path for glob in SOURCES for path in ROOT.glob(glob) if path != Path(__file__)]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    read = set(re.findall(r'(?:getenv|environ(?:\.get)?)[\[(]"(RESBLOCK_\w+)"', sources))
    read |= {f"RESBLOCK_REQUIRE_{name}" for name in re.findall(r'skip_or_fail\(\s*"(\w+)"', sources)}
    assert set(re.findall(r"RESBLOCK_\w+", text_of("docs/configuration.md"))) == read
    named = set(re.findall(r"RESBLOCK_\w+", sources)) | read
    for page in PAGES:
        assert set(re.findall(r"RESBLOCK_\w+", text_of(page))) <= named, page


@every_page
def test_files_exist(page):
    tops = {path.name for path in ROOT.iterdir() if path.is_dir()} | {"core"}
    for span in code(page)[1]:
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", span) and span.partition("/")[0] in tops - {"build"}:
            if "NAME" in span:
                continue
            places = [ROOT / span, ROOT / "csrc" / span]
            assert any(place.exists() for place in places), span


@every_page
def test_names_of_python_exist(page):
    for span in code(page)[1]:
        for name in re.findall(r"^resblock(?:\.\w+)+", span):
            _resolve(name)


def _resolve(name):
    found = importlib.import_module("resblock")
    for done, part in enumerate(name.split(".")[1:], start=2):
        if not hasattr(found, part):
            importlib.import_module(".".join(name.split(".")[:done]))
        found = getattr(found, part)


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)])
def test_python_runs(page, tmp_path, monkeypatch):
    example = ROOT / "resblock" / "example"
    for name in ("receptor.pdb", "ligand.cif"):
        shutil.copy(example / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(python_blocks(page), page, "exec"), {"__name__": "__main__"})
