"""One picture: every mode, depth and format becomes square pixels of 8 bits."""

import numpy as np
import pytest
from ganzoo_images.decode import Broken, decode
from PIL import Image

# --- one picture ------------------------------------------------------------------------------------------------------


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def seen(content: bytes, size: int = 8, channels: str = "auto", background: str = "white") -> np.ndarray:
    pixels = decode(content, size, channels, background)
    assert pixels.dtype == np.uint8
    assert pixels.shape[1:] == (size, size)
    return pixels


RED = Image.new("RGB", (8, 8), (250, 10, 30))


def test_modes_of_pictures():
    assert seen(encoded(RED))[:, 0, 0].tolist() == [250, 10, 30]
    assert seen(encoded(RED.quantize(4)))[:, 0, 0].tolist() == [250, 10, 30]
    assert seen(encoded(RED), channels="grey").tolist() == np.asarray(RED.convert("L"))[None].tolist()
    grey = Image.new("L", (8, 8), 77)
    assert seen(encoded(grey)).tolist() == np.full((1, 8, 8), 77).tolist()
    assert seen(encoded(grey.convert("RGB"))).shape == (1, 8, 8)
    assert seen(encoded(grey), channels="colour").tolist() == np.full((3, 8, 8), 77).tolist()
    assert seen(encoded(grey.point(lambda v: 255 if v > 9 else 0).convert("1"))).max() == 255
    cmyk = seen(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(cmyk[:, 4, 4].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_keep_their_range(form):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    assert seen(encoded(Image.fromarray(ramp), form))[0].tolist() == np.rint(ramp / 257).astype(int).tolist()


@pytest.mark.parametrize(("background", "level"), [("white", 255), ("black", 0)])
def test_transparency_shows_the_background(background, level):
    clear, half = Image.new("RGBA", (8, 8), (9, 9, 200, 0)), Image.new("LA", (8, 8), (100, 128))
    assert seen(encoded(clear), background=background).tolist() == np.full((1, 8, 8), level).tolist()
    assert abs(int(seen(encoded(half), background=background)[0, 0, 0]) - (100 * 128 + level * 127) / 255) <= 1
    palette = RED.quantize(4)
    assert seen(encoded(palette, transparency=palette.getpixel((0, 0))), background=background).min() == level
    assert seen(encoded(RED, transparency=(250, 10, 30)), background=background)[0, 0, 0] == level


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_says_what_is_up(orientation):
    """The upright picture is stored turned or mirrored as each orientation is undone."""
    upright = Image.fromarray(np.arange(0, 256, 4, np.uint8).reshape(8, 8))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert seen(encoded(stored, exif=exif))[0].tolist() == np.asarray(upright).tolist()


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    assert seen(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("shape", [(40, 100), (100, 40), (33, 8), (3, 5), (1, 300), (8, 8)])
def test_the_shorter_side_is_resized_and_the_centre_kept(shape):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8))
    side = min(shape)
    left, top = (shape[1] - side) // 2, (shape[0] - side) // 2
    square = image.crop((left, top, left + side, top + side))
    expected = np.asarray(square.resize((8, 8), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    assert np.abs(seen(encoded(image)).astype(int) - expected).max() <= 2


def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same():
    y, x = np.mgrid[0:1200, 0:1600] / 300
    smooth = Image.fromarray(np.stack([127 + 120 * np.sin(x), 127 + 120 * np.cos(y), 60 * x], 2).astype(np.uint8))
    small = seen(encoded(smooth, "JPEG", quality=95), 16).astype(int)
    exact = smooth.crop((200, 0, 1400, 1200)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.abs(small - np.asarray(exact).transpose(2, 0, 1)).max() <= 4


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"not a picture", "^cannot identify image file$"),
        (encoded(Image.effect_noise((64, 64), 50))[:1500], "truncated|broken"),
        (encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "floating"),
        (encoded(Image.fromarray(np.full((8, 8), 1 << 20, np.int32)), "TIFF"), "32 bits"),
    ],
)
def test_what_is_no_picture_says_why(content, why):
    with pytest.raises(Broken, match=why):
        decode(content, 8, "auto", "white")
