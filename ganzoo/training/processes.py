"""The processes of a run: one that trains, and those that load examples for it."""

import ast
import multiprocessing
import os
import sys
from pathlib import Path
from traceback import walk_stack

from ganzoo.errors import UsageError

_GUARD = "Put the code that trains under \"if __name__ == '__main__':\", or set train.num_workers to 0"


def check_single() -> None:
    """Refuse to train in one of several processes that a launcher started, since each would train the same run.

    A loader process that runs an unguarded script again ends here, with one sentence.

    Raises:
        UsageError: ``RANK`` is set, and ``WORLD_SIZE`` is above 1.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # a process that multiprocessing prepares
        sys.exit(f"ganzoo: a loader process runs the script again. {_GUARD}.")
    size = os.environ.get("WORLD_SIZE", "")
    if "RANK" in os.environ and size.isascii() and size.isdecimal() and int(size[:9]) > 1:
        raise UsageError(
            f"ganzoo trains in one process, but a launcher such as torchrun started {size[:9]} (WORLD_SIZE), and each "
            "would train the same run. Start ganzoo without the launcher."
        )


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
