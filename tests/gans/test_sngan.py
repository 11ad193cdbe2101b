"""SNGAN: no layer of its discriminator stretches its input, and the estimate of the norm is part of the run."""

import copy

import pytest
import torch
from ganzoo_sngan.model import SNGAN
from ganzoo_sngan.networks import Generator, ResBlockDown, ResBlockUp, Trunk
from torch.nn.utils.parametrize import is_parametrized

from ganzoo import Field


def model_for(shape, **widths):
    torch.manual_seed(0)
    return SNGAN({"image": Field(shape)}, latent_dim=6, **{"generator_width": 3, "discriminator_width": 4, **widths})


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def normalized(model):
    return {name: layer for name, layer in model.discriminator.named_modules() if is_parametrized(layer, "weight")}


def slope(layer):
    """Return the largest singular value of the weight as the layer uses it, a matrix with one row per output."""
    layer.eval()
    return torch.linalg.matrix_norm(layer.weight.detach().flatten(1).double(), ord=2).item()


# --- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 64, 48), (2, 40, 8), (1, 20, 24)])
def test_images_of_many_sizes_fit(shape):
    model = model_for(shape)
    image = model.generate(model.sample_latent(3, torch.Generator().manual_seed(0)))
    assert image.shape == (3, *shape)
    assert image.abs().max() <= 1
    assert model.discriminate(image, {})["score"].shape == (3, 1)


@pytest.mark.parametrize("shape", [(1, 27, 28), (1, 28, 36), (3, 4, 4), (1, 33, 33)])
def test_other_sides_are_refused_with_those_that_fit(shape):
    for build in (lambda: SNGAN({"image": Field(shape)}), lambda: Generator(3, shape, 4), lambda: Trunk(shape, 4)):
        with pytest.raises(ValueError, match=rf"4, 5, 6 or 7 times a power of two.* not {shape[1]}x{shape[2]}$"):
            build()


def test_channels_double_as_the_image_is_halved():
    generator, trunk = Generator(5, (1, 28, 28), 2), Trunk((4, 64, 64), 2)
    assert generator.start == (7, 7, 4)
    ups = [block for block in generator.layers if isinstance(block, ResBlockUp)]
    assert [(up.conv1.in_channels, up.conv1.out_channels) for up in ups] == [(4, 4), (4, 2)]
    pairs = [(down.conv1.in_channels, down.conv1.out_channels) for down in trunk.layers]
    assert pairs == [(4, 2), (2, 4), (4, 8), (8, 16), (16, 16)]
    assert trunk(noise(2, 4, 64, 64)).shape == (2, trunk.features) == (2, 16)


def test_shortcuts_convolve_where_it_is_cheaper_and_compute_the_same():
    """The blocks as the paper draws them: enlarge, then convolve; convolve, then pool."""
    torch.manual_seed(0)
    up, down, x = ResBlockUp(3, 2).eval(), ResBlockDown(3, 2).eval(), noise(2, 3, 8, 8)
    enlarge, pool = torch.nn.Upsample(scale_factor=2), torch.nn.AvgPool2d(2)
    h = up.conv2(torch.relu(up.norm2(up.conv1(enlarge(torch.relu(up.norm1(x)))))))
    torch.testing.assert_close(up(x), h + up.shortcut(enlarge(x)))
    h = down.conv2(torch.relu(down.conv1(torch.relu(x))))
    torch.testing.assert_close(down(x), pool(h + down.shortcut(x)))


# --- spectral norm --------------------------------------------------------------------------------------------------


def test_every_layer_of_the_discriminator_has_it_and_none_of_the_generator():
    model = model_for((1, 28, 28))
    layers = [m for m in model.discriminator.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(normalized(model)) == len(layers) == 9
    assert not any(is_parametrized(layer) for layer in model.generator.modules())


def test_no_layer_stretches_its_input_after_training():
    model = model_for((3, 16, 16), discriminator_width=8)
    adam = torch.optim.Adam(model.discriminator.parameters(), lr=1e-2)
    real, fake = noise(8, 3, 16, 16), noise(8, 3, 16, 16).flip(0)
    for _ in range(30):
        adam.zero_grad()
        (model.discriminate(fake, {})["score"] - model.discriminate(real, {})["score"]).mean().backward()
        adam.step()
    with torch.no_grad():  # the estimate catches up while the weights stay
        for _ in range(60):
            model.discriminate(real, {})
    for name, layer in normalized(model).items():
        raw = layer.parametrizations.weight.original
        assert slope(layer) == pytest.approx(1, abs=0.02), name
        assert torch.linalg.matrix_norm(raw.detach().flatten(1), ord=2) > 1.3 or name == "1", name


def test_a_pass_takes_one_power_iteration_in_training_and_none_in_eval_mode():
    model, image = model_for((1, 8, 8)), noise(4, 1, 8, 8)
    weight = model.discriminator[0].layers[0].conv2.parametrizations.weight
    raw, norm, normalize = weight.original.detach().flatten(1), weight[0], torch.nn.functional.normalize
    norm._v.copy_(normalize(noise(len(norm._v)), dim=0))  # far from the first estimate, which is a good one
    u = normalize(raw @ norm._v, dim=0)  # (outputs,), algorithm 1
    v = normalize(raw.T @ u, dim=0)
    assert not torch.allclose(u, norm._u, atol=0.1)
    model.discriminate(image, {})
    torch.testing.assert_close((norm._u, norm._v), (u, v))
    model.eval()
    model.discriminate(image, {})
    torch.testing.assert_close((norm._u, norm._v), (u, v))


def test_state_dict_and_deepcopy_contain_the_estimate():
    model, image = model_for((1, 8, 8)), noise(4, 1, 8, 8)
    for _ in range(3):
        model.discriminate(image, {})
    twin, other = copy.deepcopy(model), model_for((1, 8, 8))
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    assert sum(name.endswith("._u") for name in kept) == len(normalized(model))
    other.load_state_dict(kept)
    scores = [m.discriminate(image, {})["score"] for m in (model, twin, other)]
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])
    twin.discriminate(image, {})
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
