"""``ganzoo film``: the sample grids of a run as an animated picture."""

import io
from pathlib import Path

import click

from ganzoo import UsageError

_KINDS = (".gif", ".webp")
_DAMAGED = (OSError, ValueError, SyntaxError)  # what Pillow raises
_LAST = 1500  # milliseconds for which the last picture stays


@click.command("film")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="A .gif or .webp file. [default: DIRECTORY/film.gif]"
)
@click.option("--fps", type=click.IntRange(1, 50), default=10, show_default=True, help="Pictures a second.")
@click.option("--name", default="fake", show_default=True, help="Which pictures: samples/NAME-STEP.png.")
def command(directory: Path, out: Path | None, fps: int, name: str) -> None:
    """Make a film of the sample grids of a run.

    The pictures are those that the run in DIRECTORY saved while it trained, from noise that stayed the same, each with
    its step underneath; the last one stays for a while.
    """
    out = out or directory / "film.gif"
    if out.suffix.lower() not in _KINDS or out.is_dir():
        raise UsageError(f"Cannot make a film {out}: give a {' or '.join(_KINDS)} file.")
    from PIL import features

    from ganzoo.training.files import write_atomically
    from ganzoo.training.run import RunDirectory
    from ganzoo_report.pictures import saved

    run = RunDirectory.open(directory)
    if not out.parent.is_dir():
        raise UsageError(f"The folder {out.parent} of {out.name} does not exist.")
    there = saved(run.samples)
    found = there.get(name, [])
    if len(found) < 2:
        moving = ", ".join(other for other, pictures in there.items() if len(pictures) > 1)
        raise UsageError(
            f"{run.samples} has {len(found)} pictures {name}-STEP.png, and a film needs 2 or more. "
            + (f"There is: --name {moving}." if moving else "Pictures come while it trains (train.sample_every).")
        )
    kind = out.suffix.lower().removeprefix(".")
    if kind == "webp" and not features.check("webp"):
        raise UsageError("This Pillow was built without WebP. Give a .gif file.")
    write_atomically(out, animate(found, kind, 1000 // fps))
    click.echo(f"{len(found)} pictures, {found[0][0]} to {found[-1][0]} steps: {out}")


def animate(pictures, kind, milliseconds):
    """Return the film.

    Args:
        pictures: (step, path) in order.
        kind: "gif" or "webp".
        milliseconds: how long each picture stays, but for the last.

    Raises:
        UsageError: a picture cannot be read.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default()
    _, _, wide, high = font.getbbox(f"step {pictures[-1][0]}")
    strip = int(high) + 8
    opened = [_size(Image, path) for _, path in pictures]
    width, height = max(int(wide) + 16, *(size[0] for size in opened)), max(size[1] for size in opened)

    def frame(step, path):
        whole = Image.new("RGB", (width, height + strip), "white")
        try:
            with Image.open(path) as picture:
                whole.paste(picture.convert("RGB"), ((width - picture.width) // 2, 0))
        except _DAMAGED as error:
            raise UsageError(f"{path} is no whole picture: {error}. Remove it, and make the film again.") from error
        text = f"step {step}"
        ImageDraw.Draw(whole).text(((width - font.getbbox(text)[2]) // 2, height + 3), text, "black", font)
        return whole

    frames = (frame(step, path) for step, path in pictures)
    buffer = io.BytesIO()
    next(frames).save(
        buffer,
        format=kind,
        save_all=True,
        append_images=frames,
        duration=[milliseconds] * (len(pictures) - 1) + [max(milliseconds, _LAST)],
        loop=0,
        lossless=True,  # WebP; a GIF has its 256 colours
    )
    return buffer.getvalue()


def _size(image, path):
    try:
        with image.open(path) as picture:
            return picture.size
    except _DAMAGED as error:
        raise UsageError(f"{path} is no picture: {error}. Remove it, and make the film again.") from error
