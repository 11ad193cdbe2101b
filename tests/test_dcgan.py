"""DCGAN: it fits the images it says it fits, starts as the paper says, and judges as its norm lets it."""

import pytest
import torch
from ganzoo_dcgan.model import DCGAN
from ganzoo_dcgan.networks import Body, Generator, channels_last, initialise, sizes
from ganzoo_losses.penalties import GradientPenalty

import ganzoo as package
from ganzoo.data import Field

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48), (2, 40, 8), (1, 20, 24), (4, 10, 14), (3, 128, 128)]
QUICK = {"batch_size": 8, "device": "cpu"}
SETTINGS = {"data.split": "test", "train.log_every": 1, "train.sample_count": 4, "model.width": 4}


def model_for(shape, **options):
    torch.manual_seed(0)
    return DCGAN({"image": Field(shape)}, **{"latent_dim": 6, "width": 4, **options})


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "none"])
def test_images_of_many_sizes_come_out_and_are_judged(shape, norm):
    model = model_for(shape, norm=norm)
    latent = model.latent(3, torch.Generator().manual_seed(0))
    assert {name: value.shape for name, value in latent.items()} == {"z": (3, 6)}
    image = model.generate(latent)
    assert image.shape == (3, *shape)
    assert image.abs().max() <= 1
    assert model.judge(image, {})["score"].shape == (3, 1)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 64, 64), [64, 32, 16, 8, 4]),  # the paper's
        ((1, 28, 28), [28, 14, 7, 4]),
        ((1, 40, 40), [40, 20, 10, 5, 3]),
    ],
)
def test_an_image_is_halved_down_to_three_or_four_pixels(shape, expected):
    assert sizes(shape) == [(side, side) for side in expected]
    seen = []
    body = Body(shape, width=2)
    for layer in body.layers:
        layer.register_forward_hook(lambda layer, before, after: seen.append(after.shape[-1]))
    body(noise(2, *shape))
    assert [side for i, side in enumerate(seen) if i == 0 or side != seen[i - 1]] == expected[1:]


def test_further_channels_are_judged_and_doubled_up_to_eight_times():
    body = Body((3, 128, 128), width=2, channels=5)
    assert body(noise(2, 5, 128, 128)).shape == (2, body.features) == (2, 16 * 4 * 4)
    assert [layer.out_channels for layer in body.modules() if isinstance(layer, torch.nn.Conv2d)] == [2, 4, 8, 16, 16]


@pytest.mark.parametrize("shape", [(1, 27, 28), (1, 28, 36), (3, 4, 4), (3, 7, 64), (1, 33, 33), (1, 0, 8)])
def test_sides_that_do_not_fit_are_refused_with_those_that_do(shape):
    with pytest.raises(ValueError, match=rf"4, 5, 6 or 7 times a power of two.* not {shape[1]}x{shape[2]}$"):
        DCGAN({"image": Field(shape)})
    for build in (lambda: Generator(3, shape, 4), lambda: Body(shape, 4)):
        with pytest.raises(ValueError, match="at least 8 pixels"):
            build()


def test_points_are_refused_before_anything_is_written(ganzoo, workplace):
    result = ganzoo("run", "fc-ring8", "--model", "dcgan")
    assert result.code == 2
    assert "does not fit: images (channels, height, width) only, not (2,)" in result.err
    assert not list(workplace.iterdir())


@pytest.mark.parametrize(("setting", "complaint"), [("norm=group", "norm"), ("width=0", "width"), ("slope=1", "slope")])
def test_bad_options_are_refused(ganzoo, workplace, setting, complaint):
    result = ganzoo("run", "fc-mnist", "--model", "dcgan", "--set", f"model.{setting}")
    assert result.code == 2
    assert f"model.{complaint}" in result.err
    assert not list(workplace.iterdir())


# --- weights, memory ------------------------------------------------------------------------------------------------


def test_the_first_weights_are_as_the_paper_says():
    model = model_for((3, 32, 32), latent_dim=100, width=32)
    found = dict.fromkeys(("weights", "scales"), 0)
    for layer in model.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)):
            found["weights"] += 1
            assert layer.weight.std().item() == pytest.approx(0.02, rel=5 / (2 * layer.weight.numel()) ** 0.5)
            assert abs(layer.weight.mean().item()) < 5 * 0.02 / layer.weight.numel() ** 0.5
        elif isinstance(layer, torch.nn.BatchNorm2d):
            found["scales"] += 1
            assert (layer.weight - 1).abs().max() < 0.12
            assert layer.weight.std() > 0.01
        if getattr(layer, "bias", None) is not None:
            assert not layer.bias.any()
    assert found == {"weights": 8, "scales": 5}


def test_initialise_leaves_other_layers_alone():
    layer = torch.nn.PReLU(2)
    initialise(layer)
    assert layer.weight.tolist() == [0.25, 0.25]


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_lie_together_in_memory_from_end_to_end(channels):
    """Layers that disagree on the layout are many times slower, and with one channel they easily do."""
    image = noise(2, channels, 28, 28)
    laid_out = channels_last(image)
    assert torch.equal(laid_out, image)
    assert laid_out.stride() == (28 * 28 * channels, 1, 28 * channels, channels)
    together = []

    def note(layer, before, after):
        together.append(after.shape[1] == 1 or after.stride(1) == 1)

    model = model_for((channels, 28, 28))
    for layer in (*model.generator.layers, *model.discriminator[0].layers):
        layer.register_forward_hook(note)
    model.judge(model.generate(model.latent(2, torch.Generator())), {})
    model.judge(image, {})
    assert len(together) > 20
    assert all(together)


def test_body_is_the_same_function_whatever_the_layout_of_its_input():
    body = Body((3, 16, 16), 4, "layer")
    image = noise(2, 3, 16, 16)
    torch.testing.assert_close(body(image), body(image.contiguous(memory_format=torch.channels_last)))
    flat = body(image).view(2, 4, 4, 8).movedim(3, 1)
    torch.testing.assert_close(flat, body.layers(image))


# --- judging --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("norm", "across"), [("batch", True), ("layer", False), ("instance", False), ("none", False)])
def test_only_batch_norm_looks_across_the_batch(norm, across):
    model = model_for((3, 32, 32), norm=norm)
    assert model.across is across
    real, fake = noise(4, 3, 32, 32), noise(4, 3, 32, 32) / 2
    alone = torch.cat([model.judge(real, {})["score"], model.judge(fake, {})["score"]])
    together = model.judge(torch.cat([real, fake]), {})["score"]
    assert torch.allclose(alone, together, rtol=1e-4, atol=1e-7) is not across


@pytest.mark.parametrize("norm", ["layer", "instance", "none"])
def test_the_gradient_penalty_has_a_gradient_and_training_brings_it_down(norm):
    model = model_for((1, 8, 8), norm=norm, width=8)
    real, now = {"image": noise(16, 1, 8, 8)}, {"fake": noise(16, 1, 8, 8).flip(0)}
    penalty, adam = GradientPenalty(), torch.optim.Adam(model.discriminator.parameters(), lr=1e-2)
    values = []
    for _ in range(40):
        value = penalty.term(model, real, now)
        adam.zero_grad()
        value.backward()
        adam.step()
        values.append(value.item())
    assert values[-1] < 0.5 * values[0]


# --- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_it_trains_and_samples(workplace, norm):
    settings = {**SETTINGS, "model.norm": norm}
    run = package.train("fc-mnist", model="dcgan", steps=4, out="run", settings=settings, **QUICK)
    lines = run.metrics()
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["loss/discriminator"] != lines[-1]["loss/discriminator"]
    image = run.sample(5)
    assert image.shape == (5, 1, 28, 28)
    assert torch.equal(image, package.load("run").sample(5))


def test_it_plays_wgan_gp(workplace):
    """The generator stands still until step 5, while the critic and its penalty are at work from the first."""
    settings = {**SETTINGS, "model.norm": "layer"}
    options = {"model": "dcgan", "loss": "wasserstein", "penalties": ["gradient-penalty"], "settings": settings}
    one, four, five = (package.train("fc-mnist", steps=n, out=f"r{n}", **options, **QUICK) for n in (1, 4, 5))
    assert all("loss/gradient-penalty" in line for line in five.metrics())

    def moved(network, run, other):
        pairs = zip(*(getattr(r.model, network).parameters() for r in (run, other)), strict=True)
        return any(not torch.equal(a, b) for a, b in pairs)

    assert not moved("generator", one, four)
    assert moved("discriminator", one, four)
    assert moved("generator", four, five)
