"""The command `resblock`: one file per subcommand, each a thin layer over the package."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final, NoReturn

import typer

from resblock.cli.calibrate import calibrate
from resblock.cli.compare import compare
from resblock.cli.cross_validate import cross_validate, homologues
from resblock.cli.doctor import doctor
from resblock.cli.ensemble import ensemble
from resblock.cli.evaluate import evaluate
from resblock.cli.export import export
from resblock.cli.predict import predict
from resblock.cli.prepare import prepare
from resblock.cli.pretrain import pretrain
from resblock.cli.reproduce import reproduce
from resblock.cli.sweep import sweep
from resblock.cli.train import train
from resblock.errors import InputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
for _command in (
    predict,
    export,
    compare,
    prepare,
    pretrain,
    train,
    evaluate,
    cross_validate,
    homologues,
    calibrate,
    ensemble,
    sweep,
    reproduce,
    doctor,
):
    app.command()(_command)

# typer brings its own copy of click or uses the installed one, depending on its version.
_ClickException: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

DEBUG: Final = "--debug"
#: How often a thread of OpenMP (GNU's, which torch brings) looks whether there is work before it sleeps. The default
#: looks for milliseconds, and takes the processor from the thread that it waits for wherever others work as well:
#: training beside two busy processes then takes ten times as long.
SPINS: Final = ("GOMP_SPINCOUNT", "1000")
#: Exit status after an interrupt, as shells have it; newer versions of typer return it, older ones raise Abort.
INTERRUPTED: Final = 130


@app.callback()
def options(debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False) -> None:
    """Which residues of two proteins touch: ranked residue pairs from two unbound structures."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the program.

    Exit status 0, 2 with one line on stderr where the user can mend something, 1 where they cannot,
    130 after an interrupt.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(*SPINS)  # read when torch is loaded, which no command has done yet
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in given
    given = [argument for argument in given if argument != DEBUG] or ["--help"]
    try:
        status: object = app(given, prog_name="resblock", standalone_mode=False)
    except BrokenPipeError:
        sys.stdout = None  # whoever read the output has left; nothing to flush
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", INTERRUPTED, debug)
    except _ClickException as error:
        _fail(f"{error.format_message()} See resblock --help.", 2, debug)
    except InputError as error:
        _fail(str(error), 2, debug)
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}", 2, debug)
    except Exception as error:
        _fail(f"unexpected {type(error).__name__}: {error} (a bug; {DEBUG} shows where)", 1, debug)
    if status == INTERRUPTED:
        _fail("interrupted", INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int, debug: bool = False) -> NoReturn:
    if debug:
        raise  # what the caller is handling
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(status)
