"""SNGAN: no layer of its discriminator stretches anything, and the estimate of that is a part of the run."""

import copy

import pytest
import torch
from ganzoo_sngan.model import SNGAN
from ganzoo_sngan.networks import Body, Down, Generator, Up
from torch.nn.utils.parametrize import is_parametrized

import ganzoo as package
from ganzoo.data import Field
from ganzoo.training import checkpoint

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48), (2, 40, 8), (1, 20, 24)]
SETTINGS = {
    "data.split": "test",
    "train.log_every": 1,
    "train.sample_count": 4,
    "train.ema": 0.9,
    "model.generator_width": 2,
    "model.discriminator_width": 2,
}
QUICK = {"model": "sngan", "loss": "hinge", "batch_size": 8, "device": "cpu", "settings": SETTINGS}


def model_for(shape, **widths):
    torch.manual_seed(0)
    return SNGAN({"image": Field(shape)}, latent_dim=6, **{"generator_width": 3, "discriminator_width": 4, **widths})


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def normalised(model):
    return {name: layer for name, layer in model.discriminator.named_modules() if is_parametrized(layer, "weight")}


def slope(layer):
    """The largest singular value of the weight as the layer uses it, a matrix with a row for each output."""
    layer.eval()
    return torch.linalg.matrix_norm(layer.weight.detach().flatten(1).double(), ord=2).item()


# --- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_many_sizes_come_out_and_are_judged(shape):
    model = model_for(shape)
    latent = model.latent(3, torch.Generator().manual_seed(0))
    assert {name: value.shape for name, value in latent.items()} == {"z": (3, 6)}
    image = model.generate(latent)
    assert image.shape == (3, *shape)
    assert image.abs().max() <= 1
    assert model.judge(image, {})["score"].shape == (3, 1)


@pytest.mark.parametrize("shape", [(1, 27, 28), (1, 28, 36), (3, 4, 4), (1, 33, 33)])
def test_sides_that_do_not_fit_are_refused_with_those_that_do(shape):
    for build in (lambda: SNGAN({"image": Field(shape)}), lambda: Generator(3, shape, 4), lambda: Body(shape, 4)):
        with pytest.raises(ValueError, match=rf"4, 5, 6 or 7 times a power of two.* not {shape[1]}x{shape[2]}$"):
            build()


def test_points_are_refused_before_anything_is_written(ganzoo, workplace):
    result = ganzoo("run", "fc-ring8", "--model", "sngan")
    assert result.code == 2
    assert "does not fit: images (channels, height, width) only, not (2,)" in result.err
    assert not list(workplace.iterdir())


def test_channels_double_as_the_image_is_halved():
    generator, body = Generator(5, (1, 28, 28), 2), Body((3, 64, 64), 2, channels=4)
    assert generator.start == (7, 7, 4)
    ups, downs = ([m for m in net.layers if isinstance(m, Up | Down)] for net in (generator, body))
    assert [(up.conv1.in_channels, up.conv1.out_channels) for up in ups] == [(4, 4), (4, 2)]
    pairs = [(down.conv1.in_channels, down.conv1.out_channels) for down in downs]
    assert pairs == [(4, 2), (2, 4), (4, 8), (8, 16), (16, 16)]
    assert body(noise(2, 4, 64, 64)).shape == (2, body.features) == (2, 16)


def test_shortcuts_convolve_where_it_is_cheaper_and_compute_the_same():
    """The blocks as the paper draws them: enlarge, then convolve; convolve, then pool."""
    torch.manual_seed(0)
    up, down, x = Up(3, 2).eval(), Down(3, 2).eval(), noise(2, 3, 8, 8)
    enlarge, pool = torch.nn.Upsample(scale_factor=2), torch.nn.AvgPool2d(2)
    way = up.conv2(torch.relu(up.norm2(up.conv1(enlarge(torch.relu(up.norm1(x)))))))
    torch.testing.assert_close(up(x), way + up.shortcut(enlarge(x)))
    way = down.conv2(torch.relu(down.conv1(torch.relu(x))))
    torch.testing.assert_close(down(x), pool(way + down.shortcut(x)))


# --- spectral norm --------------------------------------------------------------------------------------------------


def test_every_layer_of_the_discriminator_has_it_and_none_of_the_generator():
    model = model_for((1, 28, 28))
    layers = [m for m in model.discriminator.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(normalised(model)) == len(layers) == 9
    assert not any(is_parametrized(layer) for layer in model.generator.modules())


def test_no_layer_stretches_after_some_steps_whatever_its_weights_become():
    model = model_for((3, 16, 16), discriminator_width=8)
    adam = torch.optim.Adam(model.discriminator.parameters(), lr=1e-2)
    real, fake = noise(8, 3, 16, 16), noise(8, 3, 16, 16).flip(0)
    for _ in range(30):
        adam.zero_grad()
        (model.judge(fake, {})["score"] - model.judge(real, {})["score"]).mean().backward()
        adam.step()
    with torch.no_grad():  # the weights rest while the estimate catches up
        for _ in range(60):
            model.judge(real, {})
    for name, layer in normalised(model).items():
        raw = layer.parametrizations.weight.original
        assert slope(layer) == pytest.approx(1, abs=0.02), name
        assert torch.linalg.matrix_norm(raw.detach().flatten(1), ord=2) > 1.3 or name == "1", name


def test_a_pass_in_training_is_one_power_iteration_and_one_in_eval_mode_none():
    model, image = model_for((1, 8, 8)), noise(4, 1, 8, 8)
    weight = model.discriminator[0].layers[0].conv2.parametrizations.weight
    raw, norm, normalize = weight.original.detach().flatten(1), weight[0], torch.nn.functional.normalize
    norm._v.copy_(normalize(noise(len(norm._v)), dim=0))  # far from the first estimate, which is a good one
    u = normalize(raw @ norm._v, dim=0)  # (outputs,), algorithm 1
    v = normalize(raw.T @ u, dim=0)
    assert not torch.allclose(u, norm._u, atol=0.1)
    model.judge(image, {})
    torch.testing.assert_close((norm._u, norm._v), (u, v))
    model.eval()
    model.judge(image, {})
    torch.testing.assert_close((norm._u, norm._v), (u, v))


def test_state_dict_and_deepcopy_hold_the_estimate():
    model, image = model_for((1, 8, 8)), noise(4, 1, 8, 8)
    for _ in range(3):
        model.judge(image, {})
    twin, other = copy.deepcopy(model), model_for((1, 8, 8))
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    assert sum(name.endswith("._u") for name in kept) == len(normalised(model))
    other.load_state_dict(kept)
    scores = [m.judge(image, {})["score"] for m in (model, twin, other)]
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])
    twin.judge(image, {})
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


# --- judging and training -------------------------------------------------------------------------------------------


def test_real_and_fake_in_one_pass_are_judged_as_they_are_alone():
    model = model_for((3, 32, 32)).eval()  # in training each pass would move the estimate
    assert model.across is False
    real, fake = noise(4, 3, 32, 32), noise(4, 3, 32, 32) / 2
    alone = torch.cat([model.judge(real, {})["score"], model.judge(fake, {})["score"]])
    torch.testing.assert_close(model.judge(torch.cat([real, fake]), {})["score"], alone)


def test_it_trains_and_samples(workplace):
    run = package.train("fc-mnist", steps=4, out="run", **QUICK)
    lines = run.metrics()
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["loss/discriminator"] != lines[-1]["loss/discriminator"]
    image = run.sample(5)
    assert image.shape == (5, 1, 28, 28)
    assert torch.equal(image, package.load("run").sample(5))


def test_a_resumed_run_is_bit_identical_estimates_included(workplace):
    whole = package.train("fc-mnist", steps=9, out="whole", **QUICK)
    package.train("fc-mnist", steps=4, out="parts", **QUICK)
    parts = package.resume("parts", steps=9)
    ours, theirs = (checkpoint.load(next(checkpoint.saved(run.directory / "checkpoints"))) for run in (whole, parts))
    assert any(name.endswith("._v") for name in ours.weights)
    for part in ("weights", "average", "training"):
        one, other = getattr(ours, part), getattr(theirs, part)
        assert one.keys() == other.keys()
        for name in one:
            assert torch.equal(one[name], other[name]), name
