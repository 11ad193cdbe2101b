"""``ganzoo sample``: draw from a trained run."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli import options
from ganzoo.cli.paths import check_new_folder
from ganzoo.errors import GanzooError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo import Run

_FORMATS = (".png", ".pt", ".npz")


@click.command("sample")
@options.directory
@options.number("Number of samples.", default=64, most=10_000_000)
@options.seed("Seed for the noise, and for choosing input images.")
@click.option("--label", metavar="NAME|N", help="Draw this class only, if the model has classes.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="A .png file for a grid, .pt or .npz for a tensor, a name without a suffix for a folder of individual "
    "images; for a table or the like, a file of the dataset's format.  [default: DIRECTORY/grid.png]",
)
@options.checkpoint
@options.device
def command(
    directory: Path, number: int, seed: int, label: str | None, out: Path | None, checkpoint: str, device: str
) -> None:
    """Draw samples from the run in DIRECTORY.

    The same seed gives the same samples.
    """
    if out:
        _check_place(out)
    import ganzoo

    run = ganzoo.load(directory, checkpoint=checkpoint, device=device)
    formats = run.dataset_class.formats
    if out and out.suffix.lower() not in (*formats, *_FORMATS, ""):
        raise UsageError(f"The format of {out} is unclear: give a {_listed(formats)} file, or a folder.")
    drawn = run.draw(number, seed, label=label)
    samples = drawn[run.model.target]
    out = out or directory / (f"samples{formats[0]}" if formats and run.pictures(samples[:1]) is None else "grid.png")
    try:
        _write(run, samples, drawn.get("label"), out)
    except OSError as error:
        raise GanzooError(f"Cannot write {out}: {error.strerror or error}.") from error
    click.echo(f"{number} samples of step {run.step}: {out}")


def _listed(own: Sequence[str], common: Sequence[str] = _FORMATS) -> str:
    *first, last = (*own, *common)
    return f"{', '.join(first)} or {last}"


def _folder_name(class_names: Sequence[str], label: int) -> str:
    """Return the name of the folder for a class: its name, without what a file system forbids, or its number."""
    return re.sub(r'[/\\:*?"<>|\x00-\x1f]', "-", class_names[label]).strip(". ") if class_names else str(label)


def _check_place(out: Path) -> None:
    """Check the output before the work."""
    if out.suffix and out.is_dir():
        raise UsageError(f"{out} is a folder. Give the name of a file, or one without a suffix for individual images.")
    if out.suffix and not out.parent.is_dir():
        raise UsageError(f"The folder {out.parent} of {out.name} does not exist.")
    if not out.suffix:
        check_new_folder(out, "-o")


def _write(run: "Run", samples: "Tensor", labels: "Tensor | None", out: Path) -> None:
    import numpy as np
    import torch

    from ganzoo import images
    from ganzoo.files import make_folder, write_atomically

    kind = out.suffix.lower()
    buffer = io.BytesIO()
    if kind == ".pt":
        torch.save(samples, buffer)
        write_atomically(out, buffer.getvalue())
    elif kind == ".npz":
        arrays: dict[str, Any] = {"samples": samples.numpy()}
        if labels is not None:
            arrays |= {"label": labels.numpy(), "class_names": np.array(run.class_names, str)}
        np.savez_compressed(buffer, **arrays)
        write_atomically(out, buffer.getvalue())
    elif kind in run.dataset_class.formats:
        write_atomically(out, run.dataset_class.encode(samples, run.fields[run.model.target], kind))
    elif (pictures := run.pictures(samples)) is None or (kind != ".png" and len(pictures) != len(samples)):
        known = _listed(run.dataset_class.formats, _FORMATS[1:])
        raise UsageError(f"Samples of shape {tuple(samples.shape[1:])} cannot be saved as images; use {known}.")
    elif kind == ".png":
        images.save(images.grid(pictures), out)
    else:
        make_folder(out)
        for number, picture in enumerate(pictures):
            folder = out if labels is None else out / _folder_name(run.class_names, int(labels[number]))
            folder.mkdir(exist_ok=True)
            images.save(images.grid(picture[None]), folder / f"{number:05d}.png")
