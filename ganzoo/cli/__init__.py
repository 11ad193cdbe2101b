"""The command line: one file per command, imported when it is called. Nothing here imports torch."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from importlib import import_module
from typing import Any, NoReturn

import click

from ganzoo import __version__, console, words
from ganzoo.errors import GanzooError, Interrupted, format_error, nearest, shortage
from ganzoo.parts import BUILTIN_COMMANDS
from ganzoo.zoo import Zoo


class Commands(click.Group):
    """ganzoo's own commands and those of plugins. Each is imported when it is needed.

    Attributes:
        called: the name of the command that was called last.
    """

    called = ""

    @cached_property
    def zoo(self) -> Zoo:
        """What is installed; looked up once per call."""
        return Zoo()

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*BUILTIN_COMMANDS, *self.zoo.names("command")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in BUILTIN_COMMANDS:
            command = import_module(f"ganzoo.cli.{cmd_name}").command
        elif cmd_name in self.zoo.names("command"):
            try:
                command = self.zoo.part("command", cmd_name).load()
            except GanzooError as error:
                return _broken(cmd_name, str(error))
        else:
            return None
        if not any("--debug" in parameter.opts for parameter in command.params):
            command.params.append(_DEBUG)
        return command  # type: ignore[no-any-return]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"Unknown command {args[0]!r}. {nearest(args[0], self.list_commands(ctx))}")
        self.called = args[0]
        if args[0] not in _TRAINING and os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ:
            ctx.fail(f"{args[0]} runs in one process. Start it without the launcher.")
        return super().resolve_command(ctx, args)


def _broken(name: str, message: str) -> click.Command:
    """Return a command that only reports what is wrong with it."""

    def fail() -> NoReturn:
        raise GanzooError(message)

    return click.Command(name, callback=fail, short_help="(broken)")


def _set_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        _shown.append(True)


_shown: list[bool] = []  # not empty: --debug was given

_TRAINING = ("run", "resume")  # in several processes, if a launcher starts them

_IN_FILES = ("run", "resume", "reproduce", "sample", "export", "new")  # their results are not on standard output

_DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_debug,
    help="Show the traceback of an error.",
)


@click.command("ganzoo", cls=Commands, params=[_DEBUG], context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ganzoo")
def cli() -> None:
    """A zoo of GANs in which every GAN is a plugin.

    Start with: ganzoo run fc-mnist --epochs 20
    """


def invoke(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 misused, 130 interrupted."""
    _shown.clear()
    vars(cli).pop("zoo", None)  # it may have changed since the last call in this process
    try:
        with _processes():
            result: Any = cli.main(args=args, prog_name="ganzoo", standalone_mode=False)
        return result if type(result) is int else 0
    except SystemExit:  # a command of a plugin decides itself
        raise
    except (click.Abort, KeyboardInterrupt) as stop:
        cause = stop.__cause__ or stop  # click turns every KeyboardInterrupt into an Abort
        if isinstance(cause, Interrupted):
            click.echo(console.clean(f"Interrupted by {cause}"), err=True)
            return cause.exit_code
        click.echo("Stopped.", err=True)
        return 130
    except BaseException as error:
        if _shown:
            traceback.print_exc()
        return _report(error)


def _processes() -> AbstractContextManager[None]:
    """Join the other processes if a launcher such as torchrun started several: only one prints."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return nullcontext()
    from ganzoo import distributed

    return distributed.launched()


def _report(error: BaseException) -> int:
    """Print an error, and return the exit code."""
    code = 1
    if isinstance(error, click.NoSuchOption):
        error = click.UsageError(f"No such option {error.option_name!r}. {_leads(error)}".rstrip(), error.ctx)
    if isinstance(error, click.UsageError) and re.search(r"unexpected extra arguments? \(.*[./]", error.message):
        quoted = "A shell makes several of a name with braces or asterisks: put it in quotes."
        error = click.UsageError(f"{error.message}. {quoted}", error.ctx)
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, GanzooError):
        text, code = str(error), error.exit_code
    elif isinstance(error, OSError):
        text = f"{error.strerror or error}" + (f": {str(error.filename)[:200]}" if error.filename else "")
        code = 2 if error.errno == errno.ENAMETOOLONG else 1
    elif lacking := shortage(error):
        text = f"{lacking[0]}. {lacking[1]}."
    else:
        text = f"{format_error(error)}\nThis is a bug in ganzoo or in a plugin; --debug shows where it happened."
    click.echo(f"Error: {console.clean(text)}", err=True)
    return code


def _leads(error: click.NoSuchOption) -> str:
    """Return where an unknown option leads: to one of this command, to one of another command, or to a setting."""
    typed = error.option_name
    if hint := words.lead(typed, ()):
        return hint
    own = error.ctx.command.params if error.ctx else []
    flags = [name.removeprefix("--") for parameter in own for name in parameter.opts if name.startswith("--")]
    near = nearest(typed.lstrip("-"), flags)
    if near.startswith("Did"):
        return near.replace("'", "'--", 1)
    context = click.Context(cli)
    having = [name for name in BUILTIN_COMMANDS if (command := cli.get_command(context, name)) and _has(command, typed)]
    if having:
        return f"It is an option of {' and '.join(f'ganzoo {name}' for name in having)}."
    settings = any(parameter.name == "settings" for parameter in own)
    return "Settings are --set PATH=VALUE; 'ganzoo show RECIPE' lists them." if settings else ""


def _has(command: click.Command, option: str) -> bool:
    return any(option in parameter.opts for parameter in command.params)


def main() -> NoReturn:
    """Entry point of the command ``ganzoo``."""
    with console.steady():
        code = invoke()
        lost = console.finish()
        if lost and code == 0 and cli.called not in _IN_FILES:
            click.echo(f"Error: The output could not be written: {getattr(lost, 'strerror', None) or lost}.", err=True)
            code = 1
        console.finish()
    sys.exit(code)
