"""The `elman` command: data on stdout, talk on stderr; exit 0, 1 (failed), 2 (wrong use) or 130 (interrupted).

Nothing heavy is imported until a command runs, so that `--help` answers at once.
"""

import os
import sys
import traceback
from importlib.metadata import version

from cyclopts import App, CycloptsError, Parameter

from elman.cli.demo import demo
from elman.cli.diagnose import diagnose
from elman.cli.doctor import doctor
from elman.cli.fit import fit_forecast
from elman.cli.fit_cases import fit_classify, fit_regress
from elman.cli.memory import fit_memory, recall
from elman.cli.options import by_commas, settings_file
from elman.cli.predict import predict
from elman.cli.report import report
from elman.cli.tag import fit_tag
from elman.cli.terminal import say
from elman.cli.text import explain, fit_text
from elman.cli.watch import watch
from elman.cli.write import fit_write, surprise, write
from elman.errors import InputError, TrainingError

app = App(
    name="elman",
    help="Recurrent neural networks on ordinary computers: train them, look inside them, ship them.",
    version=lambda: version("elman"),
    version_flags=["--version"],
    help_on_error=False,
    default_parameter=Parameter(converter=by_commas, negative_iterable=()),
)
fit = App(name="fit", help="Train a network on your data.")
fit.command(fit_forecast, name="forecast")
fit.command(fit_classify, name="classify")
fit.command(fit_regress, name="regress")
fit.command(fit_tag, name="tag")
fit.command(fit_text, name="text")
fit.command(fit_write, name="write")
fit.command(fit_memory, name="memory")
app.command(fit)
for command in (demo, predict, explain, write, surprise, recall, report, watch, diagnose, doctor):
    app.command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; every error becomes one message and an exit code."""
    try:
        app.config = settings_file(arguments) or ()
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return 0
    except CycloptsError as error:
        say(f"elman: {error}", style="red", markup=False)
        return 2
    except InputError as error:
        say(f"elman: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        say("elman: interrupted", style="red")
        return 130
    except BrokenPipeError:
        # The reader of our output has left, as `head` does; what Python still holds for it goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (TrainingError, OSError, MemoryError) as error:
        say(f"elman: {error or type(error).__name__}", style="red", markup=False)
        return 1
    except Exception as error:
        if "ELMAN_DEBUG" in os.environ:
            traceback.print_exc()
        say(
            f"elman: a fault in elman itself: {type(error).__name__}: {error}\n"
            "Set ELMAN_DEBUG=1 to see where, and please report it.",
            style="red",
            markup=False,
        )
        return 1
