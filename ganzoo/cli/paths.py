"""Where commands may write, checked before the work."""

from pathlib import Path

from ganzoo.errors import UsageError


def check_new_folder(folder: Path, option: str) -> None:
    """Refuse a folder that cannot be made, or is not empty. ``option`` is the flag to suggest in the message."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing == folder and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder. Give another one: {option} FOLDER")
    if not existing.is_dir():
        raise UsageError(f"{folder} cannot be made, because {existing} is a file. Give another one: {option} FOLDER")
