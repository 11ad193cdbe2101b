"""A .zip of pictures: unpacked once, beside the cache, and then used like any folder."""

import hashlib
import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

from filelock import FileLock

from ganzoo import GanzooError, UsageError
from ganzoo_images.decode import suffixes
from ganzoo_images.progress import counting, say

_DONE = ".complete"


def folder_of(path: Path, base: Path) -> Path:
    """Return a folder with the pictures of an archive, and its files of labels. It is unpacked if that was not done or
    the archive has changed; if it was killed, it starts over.

    Args:
        path: the archive.
        base: the folder of all caches.

    Raises:
        UsageError: it cannot be read.
        GanzooError: there is no room for it.
    """
    try:
        found = path.stat()
        key = hashlib.sha256(os.fsencode(f"{path.resolve()}\0{found.st_size}\0{found.st_mtime_ns}")).hexdigest()[:12]
        folder = base / "zips" / f"{path.stem[:40]}-{key}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):  # another process may unpack it now
            if not (folder / _DONE).exists():
                _unpack(path, folder)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"data.path: {path} cannot be unpacked: {error}.") from error
    except OSError as error:
        raise GanzooError(f"{path} cannot be unpacked into {base / 'zips'}: {error.strerror or error}.") from error
    while len(inside := [one for one in folder.iterdir() if one.name != _DONE]) == 1 and inside[0].is_dir():
        folder = inside[0]  # what is in the archive is in one folder
    return folder


def _unpack(path: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    wanted = {*suffixes(), ".json", ".csv"}
    with zipfile.ZipFile(path) as archive:
        members = [one for one in archive.infolist() if _is_wanted(one.filename, wanted)]
        size = sum(member.file_size for member in members)
        folder.mkdir(parents=True)
        if size > (free := shutil.disk_usage(folder).free):
            raise GanzooError(
                f"{path} needs {size / 2**20:,.0f} MiB when unpacked, and {folder.parent} has {free / 2**20:,.0f}. "
                "Choose another folder: --set data.cache=FOLDER."
            )
        say(f"Unpacking {len(members):,} files of {path} into {folder}")
        with counting(len(members)) as advance:
            for member in members:
                archive.extract(member, folder)  # never outside of it, as its name may say
                advance(1)
    (folder / _DONE).touch()


def _is_wanted(name: str, wanted: Collection[str]) -> bool:
    return Path(name).suffix.lower() in wanted and not name.startswith("__MACOSX/")
