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
    from ganzoo.evaluation.inputs import Inputs

_FORMATS = (".png", ".pt", ".npz")


@click.command("sample")
@options.directory
@options.number(
    "Number of samples.  [default: 64, or one for each input; fewer if there are fewer input images]",
    default=None,
    most=10_000_000,
)
@options.seed("Seed for the noise, and for choosing input images.")
@click.option("--label", metavar="NAME|N", help="Draw this class only, if the model has classes.")
@click.option(
    "--input",
    "inputs",
    metavar="FIELD=PATH",
    multiple=True,
    help="Your own input for an image-to-image model: a picture, or a folder of them; repeatable.",
)
@click.option(
    "--input-size",
    metavar="N|own",
    help="Pixels per side of the inputs, or 'own' to keep theirs.  [default: as the training data]",
)
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
    directory: Path,
    number: int | None,
    seed: int,
    label: str | None,
    inputs: tuple[str, ...],
    input_size: str | None,
    out: Path | None,
    checkpoint: str,
    device: str,
) -> None:
    """Draw samples from the run in DIRECTORY.

    The same seed gives the same samples.
    """
    if out:
        _check_place(out)
    size = _size(input_size)
    if size is not None and not inputs:
        raise UsageError("--input-size is the size of your own inputs: give some with --input.")
    import ganzoo

    run = ganzoo.load(directory, checkpoint=checkpoint, device=device)
    formats = run.dataset_class.formats
    if out and out.suffix.lower() not in (*formats, *_FORMATS, ""):
        raise UsageError(f"The format of {out} is unclear: give a {_listed(formats)} file, or a folder.")
    given = run.read_inputs(_by_field(inputs), size) if inputs else None
    drawn = run.draw(number, seed, label=label, inputs=given)
    samples = drawn[run.model.target]
    out = out or directory / (f"samples{formats[0]}" if formats and run.pictures(samples[:1]) is None else "grid.png")
    try:
        _write(run, samples, drawn.get("label"), given, out)
    except OSError as error:
        raise GanzooError(f"Cannot write {out}: {error.strerror or error}.") from error
    click.echo(f"{len(samples)} sample{'s' * (len(samples) > 1)} of step {run.step}: {out}")


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


def _by_field(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return ``["source=a.png", "source=b.png"]`` as ``{"source": ["a.png", "b.png"]}``."""
    found: dict[str, list[str]] = {}
    for text in texts:
        field, equals, path = text.partition("=")
        if not (field and equals and path):
            raise UsageError(f"--input {text!r} must be FIELD=PATH, such as --input source=picture.png.")
        found.setdefault(field.strip(), []).append(path)
    return found


def _size(text: str | None) -> int | None:
    """Return the size of the inputs: -1 for their own, None for that of the training data."""
    if text is None or text == "own":
        return None if text is None else -1
    if not re.fullmatch("[1-9][0-9]{0,3}", text):
        raise UsageError(f"--input-size must be a number of pixels up to 9999, or 'own', not {text!r}.")
    return int(text)


def _beside(given: "Inputs | None", pictures: "Tensor") -> "tuple[Tensor, int]":
    """Return the pictures of a grid, each beside what it was made from, and the number of columns."""
    from ganzoo import images

    drawable = [value for value in given.values.values() if images.drawable(value)] if given else []
    shown = [value.expand(len(pictures), -1, -1, -1) for value in drawable]
    if not shown:
        return pictures, 8
    width = len(shown) + 1
    return images.side_by_side([*shown, pictures]), width * max(1, min(8 // width, -(-len(pictures) // 8)))


def _write(run: "Run", samples: "Tensor", labels: "Tensor | None", given: "Inputs | None", out: Path) -> None:
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
        images.save(images.grid(*_beside(given, pictures)), out)
    else:
        make_folder(out)
        names = given.names_of(len(pictures)) if given else [f"{number:05d}" for number in range(len(pictures))]
        for number, picture in enumerate(pictures):
            folder = out if labels is None else out / _folder_name(run.class_names, int(labels[number]))
            folder.mkdir(exist_ok=True)
            transparent = samples.dim() == 4 and samples.shape[1] == 4
            shown = samples[number].add(1).div(2).clamp(0, 1) if transparent else images.grid(picture[None])
            images.save(shown, folder / f"{names[number]}.png")
