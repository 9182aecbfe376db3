"""What the tests of the command line share."""

import subprocess
import sys


def assert_refused(result, *words):
    """Exit status 2, and one line on stderr with these words."""
    status, _, err = result
    assert status == 2
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    for word in words:
        assert str(word) in lines[0]


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def run_without(module, *arguments):
    """Run the command line where a module is not installed; gives exit status, standard output and standard error."""
    code = f"import sys; sys.modules[{module!r}] = None; from resblock.cli import main; main(sys.argv[1:])"
    # -I: the package is the installed one, whatever the working directory holds.
    command = [sys.executable, "-I", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr
