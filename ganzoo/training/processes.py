"""The processes of a run: one that trains, and those that load examples for it."""

import ast
import multiprocessing
import sys
from pathlib import Path
from traceback import walk_stack

from ganzoo.errors import UsageError

_GUARD = "Put the code that trains under \"if __name__ == '__main__':\", or set train.num_workers to 0"


def check_loader() -> None:
    """End a loader process that runs an unguarded script again, with one sentence."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # a process that multiprocessing prepares
        sys.exit(f"ganzoo: a loader process runs the script again. {_GUARD}.")


def check_script() -> None:
    """Refuse loader processes if each would run the current script again: they start as new interpreters, which import
    the script.

    Raises:
        UsageError: the code that trains is in a script without a guard.
    """
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    stack = walk_stack(sys._getframe())
    running = any(frame.f_globals is vars(main) and frame.f_code.co_name == "<module>" for frame, _ in stack)
    if path is None or not running:
        return
    try:
        names = {node.id for node in ast.walk(ast.parse(Path(path).read_bytes())) if isinstance(node, ast.Name)}
    except (OSError, ValueError, SyntaxError, RecursionError):
        return
    if "__name__" not in names:
        raise UsageError(f"Each loader process (train.num_workers) would run {path} again. {_GUARD}.")
