"""StyleGAN2: its formulas against slow, plain ones; which style controls which layer; and the path length penalty."""

import math

import pytest
import torch
from ganzoo_stylegan2.model import StyleGAN2
from ganzoo_stylegan2.networks import (
    HE_GAIN,
    Discriminator,
    EqualizedLinear,
    MappingNetwork,
    ModulatedConv2d,
    channels_per_resolution,
)
from ganzoo_stylegan2.penalty import PathLength, path_lengths
from torch.nn.functional import conv2d

import ganzoo as package
from ganzoo import Field, UsageError


def model_for(shape=(1, 16, 16), **options):
    torch.manual_seed(0)
    options = {"latent_dim": 8, "mapping_layers": 2, "width": 4, "max_channels": 8, **options}
    return StyleGAN2({"image": Field(shape)}, **options)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed))


# --- modulation and the equalized learning rate ---------------------------------------------------------------------


def each_with_its_own_weights(layer, x, w):
    """Equations 1 and 3 literally: one kernel and one convolution per sample."""
    out = []
    for sample, s in zip(x, layer.style(w), strict=True):
        kernel = layer.scaled_weight() * s[None, :, None, None]  # equation 1
        if layer.demodulate:
            kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()  # equation 3
        if layer.up:  # each pixel twice in both directions; a transposed convolution flips the kernel
            sample, kernel = sample.repeat_interleave(2, 1).repeat_interleave(2, 2), kernel.flip(2, 3)
        y = conv2d(sample[None], kernel, padding=kernel.shape[-1] // 2)
        out.append(HE_GAIN * y if layer.demodulate else y + layer.scaled_bias()[:, None, None])
    return torch.cat(out)


@pytest.mark.parametrize(("size", "demodulate", "up"), [(3, True, False), (3, True, True), (1, False, False)])
def test_scaling_inputs_and_outputs_equals_scaling_the_weights(size, demodulate, up):
    torch.manual_seed(0)
    layer = ModulatedConv2d(7, 5, 6, size, demodulate=demodulate, up=up)
    torch.nn.init.normal_(layer.bias)
    x, w = normal(3, 5, 8, 8), normal(3, 7, seed=1)
    assert layer.style(w).std(0).min() > 0.1  # styles that differ
    y = layer(x, w)
    torch.testing.assert_close(y, each_with_its_own_weights(layer, x, w), rtol=1e-5, atol=1e-5)


def test_weights_are_standard_normal_and_scaled_when_they_are_used():
    torch.manual_seed(0)
    for multiplier in (1.0, 0.01):
        layer = EqualizedLinear(200, 300, lr_multiplier=multiplier, bias=1.0)
        assert (layer.weight * multiplier).std().item() == pytest.approx(1, rel=0.02)
        assert layer.scaled_weight().std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
        torch.testing.assert_close(layer.scaled_bias(), torch.ones(200))
    convolution = ModulatedConv2d(8, 20, 30, 3)
    assert convolution.weight.std().item() == pytest.approx(1, rel=0.05)
    assert convolution.scaled_weight().std().item() == pytest.approx(1 / math.sqrt(20 * 9), rel=0.05)


def test_the_mapping_network_learns_at_a_hundredth_of_the_rate():
    """Adam's first step moves each number by the learning rate, regardless of its gradient."""
    moved = []
    for layer in (EqualizedLinear(20, 30), MappingNetwork(30, 1).layers[0]):
        weight, bias = layer.scaled_weight().detach(), layer.scaled_bias().detach()
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
        layer(normal(4, 30)).sum().backward()
        optimizer.step()
        changes = (layer.scaled_weight() - weight, layer.scaled_bias() - bias)
        moved.append([change.abs().mean().item() for change in changes])
    assert moved[0] == pytest.approx([0.1 * math.sqrt(2 / 30), 0.1], rel=1e-3)
    assert moved[1] == pytest.approx([0.001 * math.sqrt(2 / 30), 0.001], rel=1e-2)


def test_the_length_of_z_does_not_matter():
    mapping, z = MappingNetwork(8, 2), normal(3, 8)
    torch.testing.assert_close(mapping(z), mapping(5 * z))


# --- styles and noise -----------------------------------------------------------------------------------------------


def test_a_mixed_image_takes_each_layer_from_the_right_style():
    model = model_for()
    latent = {**model.sample_latent(3, rng()), "crossover": torch.tensor([2, 6, 4])}
    first, second = model.mapping(latent["z"]), model.mapping(latent["other"])
    seen = []
    for layer in (*model.synthesis.layers, *model.synthesis.to_image):
        convolution = getattr(layer, "convolution", layer)
        convolution.style.register_forward_pre_hook(lambda module, args, layer=layer: seen.append((layer, args[0])))
    model.generate(latent)
    which = {layer: i for i, layer in enumerate(model.synthesis.layers)}
    which |= {layer: 2 * i + 1 for i, layer in enumerate(model.synthesis.to_image)}  # the style of the next layer
    assert len(seen) == 5 + 3
    for layer, w in seen:
        for sample, crossover in enumerate((2, 6, 4)):
            expected = first if which[layer] < crossover else second
            torch.testing.assert_close(w[sample], expected[sample])


def test_styles_are_mixed_in_training_only():
    model = model_for()
    latent = model.sample_latent(20_000, rng())
    assert latent["other"].shape == latent["z"].shape
    counts = latent["crossover"].bincount(minlength=7) / 20_000
    assert counts[0] == 0
    assert counts[1:6].tolist() == pytest.approx([0.9 / 5] * 5, abs=0.015)
    assert counts[6] == pytest.approx(0.1, abs=0.01)
    assert model_for(mixing=0.0).sample_latent(50, rng())["crossover"].unique().tolist() == [6]
    model.eval()
    assert set(model.sample_latent(2, rng())) == {"z", "noise"}
    styles = model.styles(model.sample_latent(2, rng()))
    assert torch.equal(styles, styles[:, :1].expand(-1, 6, -1))


def test_noise_reaches_its_layer_with_its_strength():
    model = model_for().eval()
    latent = model.sample_latent(2, rng())
    changed = {**latent, "noise": latent["noise"].clone()}
    changed["noise"][:, 16 + 64 : 16 + 2 * 64] += 1.0  # the third layer, the second at 8x8
    assert latent["noise"].shape == (2, 16 + 2 * 64 + 2 * 256)
    assert torch.equal(model.generate(latent), model.generate(changed))  # all strengths start at 0
    for i, layer in enumerate(model.synthesis.layers):
        torch.nn.init.constant_(layer.noise_strength, float(i != 2))
    assert torch.equal(model.generate(latent), model.generate(changed))
    torch.nn.init.constant_(model.synthesis.layers[2].noise_strength, 0.5)
    assert not torch.equal(model.generate(latent), model.generate(changed))


def test_the_image_is_the_sum_of_what_each_size_adds():
    model = model_for((1, 8, 8))
    latent, parts = model.sample_latent(2, rng()), []
    for layer in model.synthesis.to_image:
        layer.register_forward_hook(lambda module, args, output: parts.append(output))
    total = model.generate(latent)
    low, high = parts
    larger = torch.nn.functional.interpolate(low, size=(8, 8), mode="bilinear")
    torch.testing.assert_close(total, larger + high)


# --- the discriminator ----------------------------------------------------------------------------------------------


def test_the_discriminator_sees_how_much_a_batch_varies():
    torch.manual_seed(0)
    network = Discriminator((1, 8, 8), [4, 4])
    image, same, seen = normal(4, 1, 8, 8), normal(1, 1, 8, 8).repeat(4, 1, 1, 1), []
    network.blocks.register_forward_hook(lambda module, args, output: seen.append(output))
    network.end.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network(image), network(same)
    features, end, _, alike = seen
    assert end[:, -1].unique().item() == pytest.approx(features.std(0, correction=0).mean().item(), abs=1e-3)
    assert alike[:, -1].max() < 1e-3
    assert network(image[:1]).isfinite().all()
    assert StyleGAN2.batch_dependent


# --- path length ----------------------------------------------------------------------------------------------------


class LinearImages:
    """A model whose 4x4 image is the sum over the layers of a factor times the style."""

    def __init__(self, factors):
        self.factors = torch.tensor(factors)  # one per layer
        self.seen = []

    def styles(self, latent):
        self.seen.append(latent)
        return latent["z"][:, None].expand(-1, len(self.factors), -1).clone().requires_grad_()

    def synthesize(self, styles, latent):
        return (styles * self.factors[:, None]).sum(1).view(-1, 1, 4, 4)  # J of layer l = factor_l * identity


def test_path_lengths_of_a_linear_generator():
    model, z = LinearImages([3.0, 4.0]), normal(5, 16)
    styles = model.styles({"z": z})
    torch.manual_seed(7)
    found = path_lengths(model.synthesize(styles, {}), styles)
    torch.manual_seed(7)
    y = torch.randn(5, 1, 4, 4) / 4
    expected = y.flatten(1).norm(dim=1) * math.sqrt((3**2 + 4**2) / 2)  # a mean over the layers
    torch.testing.assert_close(found, expected)


def test_the_penalty_is_the_squared_distance_from_the_running_mean():
    model, penalty, shared = LinearImages([2.0]), PathLength(), {"z": normal(6, 16), "fake": normal(6, 1, 4, 4)}
    mean = 0.0
    for seed in range(3):
        torch.manual_seed(seed)
        term = penalty.term(model, {}, shared)
        torch.manual_seed(seed)
        length = 2 * (torch.randn(3, 1, 4, 4) / 4).flatten(1).norm(dim=1)  # half of the batch
        mean += (0.01 if seed else 1) * (length.mean().item() - mean)  # it starts at the first mean
        assert penalty.mean.item() == pytest.approx(mean, rel=1e-4)
        assert term.item() == pytest.approx((length - mean).square().mean().item(), rel=1e-4)
    assert torch.equal(model.seen[0]["z"], shared["z"][:3])
    assert (penalty.player, penalty.weight, penalty.every) == ("generator", 2.0, 8)
    assert list(penalty.state_dict()) == ["mean"]
    assert len(PathLength().term(model, {}, {"z": normal(1, 16)}).shape) == 0  # a batch of one has a half too


def test_the_penalty_pulls_a_generator_to_the_mean():
    """J = c I: the gradient by c of (c |y| - a)^2 is 2 |y| (c |y| - a), through the inner gradient."""
    factor = torch.tensor([3.0], requires_grad=True)
    model, penalty = LinearImages([1.0]), PathLength()
    model.factors, penalty.mean = factor, torch.tensor(1.0)
    torch.manual_seed(0)
    penalty.term(model, {}, {"z": normal(2, 16)}).backward()
    torch.manual_seed(0)
    y = (torch.randn(1, 1, 4, 4) / 4).norm()
    mean = 1.0 + 0.01 * (3 * y - 1.0)
    assert factor.grad.item() == pytest.approx((2 * y * (3 * y - mean)).item(), rel=1e-4)


def test_it_reaches_the_generator_and_not_the_discriminator():
    model = model_for()
    term = PathLength().term(model, {}, model.sample_latent(4, rng()))
    term.backward()
    idle = {name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()}
    for name, _ in model.named_parameters():
        assert (name in idle) == name.startswith("discriminator") or name in (
            f"synthesis.to_image.{i}.bias" for i in range(3)
        )


def test_a_model_without_styles_is_refused(workplace):
    settings = {"data.split": "test", "data.size": 32}
    with pytest.raises(UsageError, match=r"'path-length' needs a model with 'synthesize'.*have it: stylegan2"):
        package.train("fc-mnist", steps=1, penalties=["path-length"], settings=settings)


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (2, 64, 64)])
def test_it_fits_squares_of_powers_of_two(shape):
    model = model_for(shape)
    image = model.generate(model.sample_latent(2, rng()))
    assert image.shape == (2, *shape)
    assert model.discriminate(image, {})["score"].shape == (2, 1)
    inside = model.eval().generate({name: 100 * value for name, value in model.sample_latent(2, rng()).items()})
    assert inside.abs().max() <= 1


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (3, 32, 64), (2,)])
def test_other_shapes_are_refused_with_those_that_fit(shape):
    with pytest.raises(ValueError, match="8, 16, 32" if len(shape) == 3 else "images"):
        model_for(shape)


def test_channels_double_toward_the_small_resolutions():
    assert channels_per_resolution((1, 32, 32), 16, 64) == [64, 64, 32, 16]
    assert channels_per_resolution((1, 8, 8), 16, 8) == [16, 16]
