"""The report as a browser shows it: every part works, parts are linked, and names from files stay text."""

import base64
import dataclasses
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from made_results import LIGAND, LIGAND_SCORES, partner, results, side
from programs import skip_or_fail

import resblock
from resblock.errors import InputError
from resblock.pairs.tables import RankedPair
from resblock.report.page import CELLS, _facing, page
from resblock.report.viewer_js import SHA256, find_viewer, integrity, viewer_url
from resblock.structure import Residue

EXAMPLE = Path(resblock.__file__).parent / "example"


#: Milliseconds for a step: structures are drawn by the processor, which others may use as well.
PATIENCE = 180_000


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


# The page as a text


def test_the_page_has_what_was_predicted():
    known = np.zeros((6, 5), dtype=bool)
    known[3, 2] = True
    data = data_of(page(results(truth=known), None))
    assert [row["score"] for row in data["pairs"]] == pytest.approx([1.0, 0.5, 0.25, 0.1333333])
    assert data["receptor"]["residues"][3]["name"] == "MSE 52A"
    assert data["receptor"]["chains"] == [{"name": "", "start": 0, "stop": 4}, {"name": "H", "start": 4, "stop": 6}]
    assert data["map"]["truth"] == [[3, 2]]
    values = np.frombuffer(base64.b64decode(data["map"]["values"]), "<u2").reshape(6, 5)
    assert values.argmax() == 3 * 5 + 2
    atoms = [line for line in data["receptor"]["structure"].splitlines() if line.startswith(("ATOM", "HETATM"))]
    first, count = data["receptor"]["residues"][3]["atoms"]
    assert [int(line[6:11]) for line in atoms[first - 1 : first - 1 + count]] == [first, first + 1, first + 2]


def test_a_large_map_shows_the_best_of_a_few_pairs():
    made = results()
    size = 1500
    scores = np.full((size, size), 1e-4, dtype=np.float32)
    scores[1400, 7] = 0.5
    large = dataclasses.replace(made, scores=scores)
    data = data_of(page(large, None))
    assert data["map"]["rows"] * data["map"]["columns"] <= CELLS
    step = data["map"]["step"]
    values = np.frombuffer(base64.b64decode(data["map"]["values"]), "<u2").reshape(data["map"]["rows"], -1)
    assert np.unravel_index(values.argmax(), values.shape) == (1400 // step, 7 // step)


def test_likely_residues_face_the_reader():
    flat = partner("f.pdb", [Residue("A", k + 1, "", "ALA", "ALA") for k in range(40)])
    generator = np.random.default_rng(1)
    flat = dataclasses.replace(flat, coordinates=generator.normal(0, 15, flat.coordinates.shape))
    probabilities = np.zeros(40)
    probabilities[7] = 0.9
    made = side("receptor", flat, probabilities)
    turned = _facing(made)
    before = flat.coordinates - flat.coordinates.mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(before, axis=1))
    # No mirror image.
    assert np.linalg.det(np.linalg.lstsq(before, turned, rcond=None)[0]) == pytest.approx(1)
    middle = turned[flat.atom_residue == 7].mean(axis=0)
    assert middle[2] == pytest.approx(np.linalg.norm(middle))
    assert turned[:, 0].std() >= turned[:, 1].std()


def test_a_page_without_the_viewer_links_it_with_a_checksum():
    html = page(results(), None)
    assert f'<script src="{viewer_url()}" integrity="{integrity()}" crossorigin="anonymous">' in html
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "default-src 'none'" in policy
    assert viewer_url() in policy
    assert "unsafe" not in policy


HOSTILE = "</script><img/src=x/onerror=document.title=1>"


def hostile():
    odd = partner(f"{HOSTILE}.cif", [Residue("<b>", k, "", HOSTILE, "ALA") for k in (1, 2)], linked=[False, False])
    pairs = [RankedPair(1, 0.5, odd.residues[0], LIGAND.residues[0])]
    return results(pairs, receptor=odd, of_receptor=np.array([0.5, 0.1]), of_ligand=LIGAND_SCORES)


def test_names_from_files_are_text():
    html = page(hostile(), None)
    assert HOSTILE not in html
    assert data_of(html)["receptor"]["residues"][0]["name"] == f"<b> {HOSTILE} 1"
    shown = hostile()
    assert "<img" not in resblock.report.notebook.notebook_html(shown)


# Where the viewer comes from


def test_another_file_is_no_viewer(tmp_path, cache):
    (tmp_path / "3Dmol-min.js").write_text("alert(1)")
    with pytest.raises(InputError, match="another checksum"):
        find_viewer(tmp_path / "3Dmol-min.js")
    with pytest.raises(InputError, match="check the path"):
        find_viewer(tmp_path / "nowhere.js")


def test_a_failure_is_remembered_for_a_day(cache, monkeypatch):
    asked = []

    def refuse(*arguments):
        asked.append(arguments)
        raise DownloadError("no connection")

    from resblock.structure.download import DownloadError

    monkeypatch.setattr("resblock.structure.download.download", refuse)
    text, remark = find_viewer()
    assert text is None
    assert "no connection" in remark
    assert find_viewer() == (None, "")
    (failure,) = cache.glob("*.failed")
    os.utime(failure, (0, 0))
    assert "no connection" in find_viewer()[1]
    assert len(asked) == 2


def test_what_is_downloaded_is_compared(cache, monkeypatch):
    monkeypatch.setattr("resblock.structure.download.download", lambda *arguments: b"alert(1)")
    text, remark = find_viewer()
    assert text is None
    assert "another checksum" in remark
    monkeypatch.setattr("resblock.report.viewer_js.SHA256", SHA256[::-1])
    assert not list(cache.glob("*.js"))


# In a browser


@pytest.fixture(scope="module")
def viewer_js():
    path = os.environ.get("RESBLOCK_VIEWER_JS")
    if not path:
        skip_or_fail("BROWSER", "no 3Dmol.js; set RESBLOCK_VIEWER_JS to build/3Dmol-min.js of the npm package 3dmol")
    return path


@pytest.fixture(scope="module")
def chromium():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        skip_or_fail("BROWSER", "no chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        skip_or_fail("BROWSER", "playwright is not installed")
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    # On a busy machine the watchdog takes drawing by the processor for a process that hangs.
    software = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-watchdog"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*arguments, *software])
        yield browser
        browser.close()


def _open(window, path):
    """Open a page, and once more where it is not there in time: on a busy machine a browser begins slowly."""
    from playwright.sync_api import TimeoutError

    try:
        window.goto(path.as_uri(), timeout=PATIENCE / 3)
    except TimeoutError:
        window.goto(path.as_uri())


@contextmanager
def shown(browser, path, **options):
    """The page in a window; it may write no error to the console."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(PATIENCE)
    window = context.new_page()
    errors = []
    window.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    window.on("pageerror", lambda error: errors.append(str(error)))
    _open(window, path)
    yield window
    assert errors == []
    context.close()


@pytest.fixture(scope="module")
def report(viewer_js, tmp_path_factory):
    found = resblock.predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif")
    truth = np.zeros(found.log_odds.shape, dtype=bool)
    truth[12, 12] = truth[11, 24] = True
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert dataclasses.replace(found, truth=truth).report(path, viewer_js) == []
    return path


def column(window, table, place):
    return window.locator(f"#{table} tbody td:nth-child({place})").all_text_contents()


def test_tables_are_sorted_and_filtered(chromium, report):
    with shown(chromium, report) as window:
        assert column(window, "pairs", 1)[:3] == ["1", "2", "3"]
        window.click("#pairs th:nth-child(3) button")
        names = column(window, "pairs", 3)
        assert window.get_attribute("#pairs th:nth-child(3)", "aria-sort") == "ascending"
        assert int(names[0].split()[-1]) <= int(names[-1].split()[-1]) or names[0] <= names[-1]
        window.click("#pairs th:nth-child(1) button")
        window.click("#pairs th:nth-child(1) button")
        assert column(window, "pairs", 1)[0] == "500"
        window.fill("#residues-filter", "ligand marked")
        assert set(column(window, "residues", 1)) == {"ligand"}
        assert len(column(window, "residues", 1)) == 8
        assert window.inner_text("#residues-count").startswith("8 of")
        assert "yes" in column(window, "residues", 8)


def test_pointing_at_a_pair_shows_it_everywhere(chromium, report):
    with shown(chromium, report) as window:
        window.hover("#pairs tbody tr:nth-child(2)")
        names = [column(window, "pairs", place)[1] for place in (3, 4)]
        marked = window.locator("#residues tbody tr.on td:nth-child(2)").all_text_contents()
        assert sorted(marked) == sorted(names)
        assert window.locator("#chains rect.on").count() == 2
        assert window.inner_text("#said") != "" or window.text_content("#said")
        window.hover("#map", position={"x": 300, "y": 200})
        said = window.inner_text("#map-said")
        assert " with " in said
        assert window.locator("#residues tbody tr.on").count() == 2


def test_everything_is_reached_by_the_keyboard(chromium, report):
    with shown(chromium, report) as window:
        window.focus("#pairs tbody tr:first-child")
        window.keyboard.press("ArrowDown")
        assert window.evaluate("document.activeElement.children[0].textContent") == "2"
        assert window.locator("#residues tbody tr.on").count() == 2
        window.keyboard.press("End")
        assert window.evaluate("document.activeElement.children[0].textContent") == "500"
        window.focus("#map")
        window.keyboard.press("ArrowRight")
        window.keyboard.press("ArrowDown")
        assert window.inner_text("#map-said").startswith("A MET 2 with B MET 2: ")
        window.keyboard.press("+")
        # Every control has a name for screen readers.
        names = window.eval_on_selector_all(
            "button, select, input, #map, svg, .viewer",
            "all => all.map(e => e.ariaLabel || e.textContent.trim() || e.closest('label')?.textContent)",
        )
        assert all(names)


def test_structures_are_drawn_and_changed(chromium, report):
    with shown(chromium, report) as window:
        assert window.locator(".viewer canvas").count() == 2
        assert window.is_hidden("#no-viewer")
        before = window.locator("#viewer-receptor").screenshot()
        window.select_option("#style", "surface")
        last = time.monotonic() + PATIENCE / 1000
        while window.locator("#viewer-receptor").screenshot() == before:
            assert time.monotonic() < last
            window.wait_for_timeout(200)
        window.select_option("#view", index=1)
        window.wait_for_timeout(600)


@pytest.mark.parametrize(
    "options", [{"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 700}}], ids=["dark", "narrow"]
)
def test_the_page_fits_windows_and_colours(chromium, report, options):
    with shown(chromium, report, **options) as window:
        assert window.evaluate("document.documentElement.scrollWidth <= innerWidth")
        dark = window.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 30)"
        assert dark == ("color_scheme" in options)


def test_paper_is_white_whatever_the_window_is(chromium, report):
    with shown(chromium, report, color_scheme="dark") as window:
        window.emulate_media(media="print")
        corner = "document.getElementById('map').getContext('2d').getImageData(1, 1, 1, 1).data"
        window.wait_for_function(f"Array.from({corner}).every((part) => part === 255)")
        assert window.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert window.is_hidden("#pairs-filter")


def test_a_page_without_webgl_works_and_says_so(chromium, report):
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    window = context.new_page()
    window.add_init_script("HTMLCanvasElement.prototype.getContext = (f => function (kind, ...rest) "
                           "{ return /webgl/.test(kind) ? null : f.call(this, kind, ...rest); })"
                           "(HTMLCanvasElement.prototype.getContext)")  # fmt: skip
    window.goto(report.as_uri())
    assert "WebGL" in window.inner_text("#no-viewer")
    window.hover("#pairs tbody tr:nth-child(2)")
    assert window.locator("#residues tbody tr.on").count() == 2
    context.close()


def test_hostile_names_are_shown_and_run_nothing(chromium, viewer_js, tmp_path):
    (tmp_path / "report.html").write_text(page(hostile(), Path(viewer_js).read_text()))
    with shown(chromium, tmp_path / "report.html") as window:
        assert HOSTILE in column(window, "pairs", 3)[0]
        assert window.title() != "1"
        assert window.locator("img").count() == 0


def test_five_hundred_residues_each_open_in_time(chromium, viewer_js, tmp_path):
    sizes = {300: 1_500_000, 500: 4_000_000}
    for size, limit in sizes.items():
        generator = np.random.default_rng(size)
        partners = [partner(f"{c}.pdb", [Residue(c, k + 1, "", "ALA", "ALA") for k in range(size)]) for c in "AB"]
        # Eight atoms a residue, as proteins have.
        partners = [
            dataclasses.replace(
                one,
                atom_names=("N", "CA", "C", "O", "CB", "CG", "CD1", "CD2") * size,
                elements=("N", "C", "C", "O", "C", "C", "C", "C") * size,
                coordinates=generator.normal(0, 20, (8 * size, 3)).round(3),
                atom_residue=np.repeat(np.arange(size), 8),
            )
            for one in partners
        ]
        pairs = [RankedPair(k + 1, 0.1, partners[0].residues[k], partners[1].residues[k]) for k in range(size)]
        made = results(
            pairs, receptor=partners[0], ligand=partners[1],
            of_receptor=generator.random(size), of_ligand=generator.random(size),
        )  # fmt: skip
        made = dataclasses.replace(made, scores=generator.random((size, size)).astype(np.float32))
        path = tmp_path / "report.html"
        path.write_text(page(made, Path(viewer_js).read_text()))
        assert path.stat().st_size < limit
        with shown(chromium, path) as window:
            loaded = window.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            assert loaded < 20_000, "generous: other processes share the machine"
            assert window.locator("#residues tbody tr").count() == 2 * size
