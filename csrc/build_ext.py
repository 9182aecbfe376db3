"""How pip builds resblock._C: torch's BuildExtension, the stable ABI, and the CUDA kernels where a toolkit is.

Read from the environment: RESBLOCK_CUDA=0|1|auto (default auto), CUDA_HOME, TORCH_CUDA_ARCH_LIST, MAX_JOBS, CXX.
"""

import os
import pathlib
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor

import torch
from setuptools import Extension
from setuptools.errors import PlatformError
from torch.utils import cpp_extension

HERE = pathlib.Path(__file__).resolve().parent
OLDEST_TORCH = (2, 11)
TORCH_TARGET = "0x020b000000000000"  # the oldest torch a built module may meet: 2.11
CORE_FLAGS = ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math"]
# Machine code for both, and what newer devices compile from, out of one set of PTX: to make it anew for each of them
# takes half as long again.
ARCHITECTURES = "arch=compute_80,code=[sm_80,sm_90,compute_80]"
ISA_FLAGS = {
    "_v3.cpp": ["-march=x86-64-v3"],
    "_v4.cpp": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}


def sources(part: str, suffix: str) -> list[str]:
    """List the sources of csrc/sources.txt under `part` that end in `suffix`, relative to where pip builds."""
    names = (HERE / "sources.txt").read_text().split()
    return [os.path.relpath(HERE / n) for n in names if n.startswith(part) and n.endswith(suffix)]


def isa_flags(source: str) -> list[str]:
    """Give the flags of a file that is compiled for one instruction set."""
    return next((flags for end, flags in ISA_FLAGS.items() if source.endswith(end)), [])


def is_for_this_processor(source: str) -> bool:
    """Tell whether a source can be compiled here: the per-instruction-set files want an x86-64."""
    return platform.machine().lower() in ("x86_64", "amd64") or not isa_flags(source)


def cuda_home() -> str | None:
    """Find the CUDA toolkit to build with, or None for a build without CUDA."""
    wanted = os.environ.get("RESBLOCK_CUDA", "auto")
    if wanted not in ("0", "1", "auto"):
        raise PlatformError(f"RESBLOCK_CUDA is {wanted!r}: set it to 0, 1 or auto")
    if wanted == "0":
        return None
    candidates = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), cpp_extension.CUDA_HOME]
    for home in [*candidates, "/usr/local/cuda"]:
        if home and all(os.path.exists(f"{home}/{p}") for p in ("bin/nvcc", "include/cuda_runtime.h")):
            return home
    if wanted == "1":
        raise PlatformError("RESBLOCK_CUDA=1, but no CUDA toolkit was found: set CUDA_HOME to one")
    return None


def check_prerequisites() -> None:
    """Stop with one line where the build cannot work."""
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < OLDEST_TORCH:
        raise PlatformError(f"torch {torch.__version__} is too old to build resblock: install torch 2.11 or newer")
    compiler = os.environ.get("CXX", "c++").split()[0]
    if not shutil.which(compiler):
        raise PlatformError(f"no C++ compiler: '{compiler}' was not found; install g++ or clang++ (C++20), or set CXX")


class BuildExt(cpp_extension.BuildExtension):
    """Builds the one extension from csrc/sources.txt."""

    def finalize_options(self) -> None:
        """Fill in the extension that pyproject.toml only names."""
        check_prerequisites()
        super().finalize_options()
        (extension,) = self.extensions
        cxx = ["-std=c++20", "-O3", "-g0", "-fvisibility=hidden"]
        cxx += [f"-DTORCH_TARGET_VERSION={TORCH_TARGET}", "-DTORCH_STABLE_ONLY"]
        # torch's nvcc flags forbid conversions of half types; the kernels use them.
        # The level is that of the host's part, which launches kernels and computes nothing; they are optimised anyhow.
        nvcc = ["-std=c++17", "-O1", "-Xcompiler=-fvisibility=hidden"]
        nvcc += [f"-U__CUDA_NO_{name}__" for name in ("HALF_OPERATORS", "HALF_CONVERSIONS", "HALF2_OPERATORS")]
        nvcc += ["-U__CUDA_NO_BFLOAT16_CONVERSIONS__"]
        if "TORCH_CUDA_ARCH_LIST" not in os.environ:
            nvcc.append(f"-gencode={ARCHITECTURES}")
        link = ["-Wl,-s"] if platform.system() == "Linux" else []
        files = ["csrc/module.c", *sources("library", ".cpp")]
        home = cuda_home()
        if home:
            cpp_extension.CUDA_HOME = home  # None in CPU builds of torch, whatever the environment says
            cxx.append("-DRESBLOCK_CUDA")
            files += [*sources("core/cuda", ".cpp"), *sources("core/cuda", ".cu")]
            # A toolkit from pip or conda keeps its libraries in lib, NVIDIA's own in lib64.
            link += [f"-L{home}/lib64", f"-L{home}/lib", "-lcudart_static", "-ldl", "-lrt", "-lpthread"]
        model = cpp_extension.CppExtension(extension.name, files, py_limited_api=True)
        extension.sources = files
        extension.include_dirs = [str(HERE), *model.include_dirs, *([f"{home}/include"] if home else [])]
        extension.library_dirs, extension.libraries = model.library_dirs, model.libraries
        extension.language, extension.py_limited_api = "c++", True
        extension.extra_compile_args, extension.extra_link_args = {"cxx": cxx, "nvcc": nvcc}, link

    def compile_core(self, source: str) -> str:
        """Compile one file of the core and name its object file."""
        flags = [*CORE_FLAGS, *isa_flags(source)]
        # torch's compiler leaves a build.ninja in the directory: files that are compiled at once need their own.
        directory = os.path.join(self.build_temp, pathlib.Path(source).stem)
        (object_file,) = self.compiler.compile(
            [source], output_dir=directory, include_dirs=[str(HERE)], extra_postargs=flags
        )
        return object_file

    def build_extension(self, extension: Extension) -> None:
        """Compile the core, whose files have flags of their own, and then what remains with torch's ninja."""
        files = [source for source in sources("core/cpu", ".cpp") if is_for_this_processor(source)]
        files.sort(key=isa_flags, reverse=True)  # the longer its vectors, the longer a file takes: they go first
        with ThreadPoolExecutor(int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1)) as pool:
            extension.extra_objects = list(pool.map(self.compile_core, files))
        super().build_extension(extension)

    def get_source_files(self) -> list[str]:
        """List what an sdist must hold besides the package."""
        own = [os.path.relpath(path) for path in HERE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        return [*super().get_source_files(), *own, "CMakeLists.txt", "constraints.txt"]
