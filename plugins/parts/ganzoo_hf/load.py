"""Opening a dataset with the library ``datasets``, and what its errors mean: https://huggingface.co/docs/datasets"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganzoo import UsageError
from ganzoo_hf.stream import RowGroups

_FILES = {".parquet": "parquet", ".arrow": "arrow"}
_SAVED = ("state.json", "dataset_dict.json")  # what save_to_disk() leaves


def load(path: str, config: str | None, split: str, revision: str | None, cache: str | None, stream: bool) -> Any:
    """Return a ``datasets.Dataset``, whose rows are mapped into memory, or ``RowGroups``.

    Args:
        path: an absolute path of a file or a folder, or a name on the Hub.
        config: which configuration, if there are several.
        split: such as ``train`` or, if it is not streamed, ``train[:10%]``.
        revision: of a dataset on the Hub.
        cache: the library's folder for downloads and converted files.
        stream: read the files where they are; they must be Parquet.

    Raises:
        UsageError: the library is missing, or the dataset cannot be opened.
    """
    try:
        import datasets
    except ImportError as error:
        raise UsageError(f"The dataset 'hf' needs a package ({error}): pip install 'torch-ganzoo[hf]'.") from error
    place = Path(path)
    if place.is_absolute() and not place.exists():
        raise UsageError(f"data.path: there is no {place}. A dataset on the Hub: --data hf:NAME.")
    cache = str(Path(cache).expanduser().absolute()) if cache else None
    options: dict[str, Any] = {"name": config, "revision": revision, "cache_dir": cache}
    try:
        if any((place / name).is_file() for name in _SAVED) and not stream:
            found = datasets.load_from_disk(path)
            return found[split] if isinstance(found, datasets.DatasetDict) else found
        kind = path
        if place.is_absolute() and place.is_file():
            if place.suffix.lower() not in _FILES:
                raise UsageError(f"data.path: {place} must be a folder, or one of {', '.join(_FILES)}.")
            kind, options["data_files"] = _FILES[place.suffix.lower()], str(place)
        if not stream:
            return datasets.load_dataset(kind, split=split, **options)
        files = datasets.load_dataset_builder(kind, **options).config.data_files or {}
        return RowGroups(_parquet(files, split, path))
    except UsageError:
        raise
    except ConnectionError as error:
        raise UsageError(
            f"The dataset {path!r} is not in the cache {cache or datasets.config.HF_DATASETS_CACHE}, and the Hub "
            f"cannot be reached: {_text(error)} Where there is a network, run hf download --repo-type dataset {path} "
            "--local-dir FOLDER. Then bring the folder here: --data hf:./FOLDER."
        ) from error
    except Exception as error:  # the library and its readers raise almost anything
        what = "The dataset" if place.is_absolute() else "The dataset of the Hub"
        raise UsageError(f"{what} {str(place)!r} cannot be opened: {_text(error)}") from error


def _parquet(files: Mapping[str, Sequence[str]], split: str, path: str) -> list[str]:
    """Return the files of a split.

    Raises:
        UsageError: there is no such split, or not all of its files are Parquet.
    """
    if split not in files:
        raise UsageError(
            f"data.split = {split!r}: of {path!r}, only {', '.join(map(str, files)) or 'nothing'} can be streamed."
        )
    if others := [name for name in files[split] if not name.lower().endswith(".parquet")]:
        raise UsageError(
            f"data.stream: only Parquet files are streamed, and {path!r} has {others[0]}. Leave it out; or, on the "
            "Hub, try --set data.revision=refs/convert/parquet."
        )
    return list(files[split])


def _text(error: BaseException) -> str:
    """Return the message of an error of the library as a sentence; what it wraps says more."""
    cause = error.__cause__ if type(error).__name__.startswith("DatasetGeneration") else None
    text = " ".join(str(cause or error).split()) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
