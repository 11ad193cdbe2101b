"""Where commands may write, found out before the work."""

from pathlib import Path

from ganzoo.errors import UsageError


def check_new_folder(folder: Path, option: str) -> None:
    """Refuse a folder that cannot be made, or has something in it; ``option`` is how another one is given."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if there == folder and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder. Give another one: {option} FOLDER")
    if not there.is_dir():
        raise UsageError(f"{folder} cannot be made: {there} is a file. Give another one: {option} FOLDER")
