"""What a build or an import that cannot work says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("setuptools", reason="the build script needs setuptools")
BUILD_SCRIPT = Path(__file__).resolve().parents[1] / "csrc" / "build_ext.py"


@pytest.fixture
def build_ext() -> ModuleType:
    if not BUILD_SCRIPT.exists():
        pytest.skip("no source tree beside the tests")
    spec = importlib.util.spec_from_file_location("build_ext", BUILD_SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_compiler(build_ext: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    with pytest.raises(build_ext.PlatformError, match=r"'no-such-compiler' was not found; install g\+\+"):
        build_ext.check_prerequisites()


def test_torch_too_old(build_ext: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_ext.torch, "__version__", "2.10.1+cpu")
    with pytest.raises(build_ext.PlatformError, match=r"torch 2\.10\.1\+cpu is too old"):
        build_ext.check_prerequisites()


def test_cuda_wanted_and_absent(build_ext: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_ext.os.path, "exists", lambda path: False)
    monkeypatch.setenv("RESBLOCK_CUDA", "1")
    with pytest.raises(build_ext.PlatformError, match="no CUDA toolkit was found: set CUDA_HOME"):
        build_ext.cuda_home()
    monkeypatch.setenv("RESBLOCK_CUDA", "auto")
    assert build_ext.cuda_home() is None
    monkeypatch.setenv("RESBLOCK_CUDA", "yes")
    with pytest.raises(build_ext.PlatformError, match="set it to 0, 1 or auto"):
        build_ext.cuda_home()


def test_cuda_refused(build_ext: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_ext.os.path, "exists", lambda path: True)
    monkeypatch.setenv("RESBLOCK_CUDA", "0")
    assert build_ext.cuda_home() is None


def test_every_source_is_listed(build_ext: ModuleType) -> None:
    listed = {Path(p).resolve() for part in ("core", "library") for p in build_ext.sources(part, ".cpp")}
    listed |= {Path(p).resolve() for p in build_ext.sources("core/cuda", ".cu")}
    csrc = BUILD_SCRIPT.parent
    there = [*csrc.glob("core/**/*.cpp"), *csrc.glob("core/**/*.cu"), csrc / "library.cpp"]
    assert listed == {path.resolve() for path in there}


def test_import_without_the_module_lists_likely_causes(tmp_path: Path) -> None:
    code = "import sys; sys.modules['resblock._C'] = None; import resblock.ops"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    for cause in ("ImportError: resblock", "was not built", "older than 2.11", "The loader said"):
        assert cause in last


def test_import_needs_torch_and_numpy_only(tmp_path: Path) -> None:
    heavy = ["Bio", "voronotalt", "propka", "lightning", "typer", "rich", "safetensors", "onnx", "platformdirs"]
    code = f"import sys, resblock; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
