"""StyleGAN2: the formulas against slow, plain ones; who steers which layer; the path length penalty; and that all of it
learns, resumes and adapts."""

import math

import pytest
import torch
from ganzoo_stylegan2.model import StyleGAN2
from ganzoo_stylegan2.networks import HE, Discriminator, Linear, Mapping, Modulated, widths_of
from ganzoo_stylegan2.penalty import PathLength, lengths
from torch.nn.functional import conv2d

import ganzoo as package
from ganzoo import Field, UsageError, testing
from ganzoo.api import adapt, find_recipe
from ganzoo.plugins import Zoo
from ganzoo.training import checkpoint

TINY = {
    "data.split": "test",
    "data.size": 32,
    "model.latent_dim": 8,
    "model.mapping_layers": 2,
    "model.width": 2,
    "model.widest": 4,
    "penalties.r1.every": 2,
    "penalties.path-length.every": 3,
    "train.sample_count": 4,
}
PARTS = {"model": "stylegan2", "loss": "non-saturating", "penalties": ["r1", "path-length"]}


def model_for(shape=(1, 16, 16), **options):
    torch.manual_seed(0)
    options = {"latent_dim": 8, "mapping_layers": 2, "width": 4, "widest": 8, **options}
    return StyleGAN2({"image": Field(shape)}, **options)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed))


# --- modulation and the equalised learning rate ---------------------------------------------------------------------


def each_with_its_own_weights(layer, x, w):
    """Equations 1 and 3 as they stand: one kernel a sample, and one convolution a sample."""
    out = []
    for sample, s in zip(x, layer.style(w), strict=True):
        kernel = layer.weights() * s[None, :, None, None]  # equation 1
        if layer.demodulate:
            kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()  # equation 3
        if layer.up:  # every pixel twice, each way; a transposed convolution turns the kernel round
            sample, kernel = sample.repeat_interleave(2, 1).repeat_interleave(2, 2), kernel.flip(2, 3)
        y = conv2d(sample[None], kernel, padding=kernel.shape[-1] // 2)
        out.append(HE * y if layer.demodulate else y + layer.biases()[:, None, None])
    return torch.cat(out)


@pytest.mark.parametrize(("size", "demodulate", "up"), [(3, True, False), (3, True, True), (1, False, False)])
def test_scaling_what_goes_in_and_out_is_the_same_as_scaling_the_weights(size, demodulate, up):
    torch.manual_seed(0)
    layer = Modulated(7, 5, 6, size, demodulate=demodulate, up=up)
    torch.nn.init.normal_(layer.bias)
    x, w = normal(3, 5, 8, 8), normal(3, 7, seed=1)
    assert layer.style(w).std(0).min() > 0.1  # styles that differ
    y = layer(x, w)
    torch.testing.assert_close(y, each_with_its_own_weights(layer, x, w), rtol=1e-5, atol=1e-5)


def test_weights_are_normal_and_scaled_when_they_are_used():
    torch.manual_seed(0)
    for rate in (1.0, 0.01):
        layer = Linear(200, 300, rate=rate, bias=1.0)
        assert (layer.weight * rate).std().item() == pytest.approx(1, rel=0.02)
        assert layer.weights().std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
        torch.testing.assert_close(layer.biases(), torch.ones(200))
    convolution = Modulated(8, 20, 30, 3)
    assert convolution.weight.std().item() == pytest.approx(1, rel=0.05)
    assert convolution.weights().std().item() == pytest.approx(1 / math.sqrt(20 * 9), rel=0.05)


def test_the_mapping_network_learns_at_a_hundredth_of_the_rate():
    """Adam's first step moves every number by the learning rate, whatever its gradient."""
    moved = []
    for layer in (Linear(20, 30), Mapping(30, 1)[0]):
        before, bias = layer.weights().detach(), layer.biases().detach()
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
        layer(normal(4, 30)).sum().backward()
        optimizer.step()
        moved.append([(layer.weights() - before).abs().mean().item(), (layer.biases() - bias).abs().mean().item()])
    assert moved[0] == pytest.approx([0.1 * math.sqrt(2 / 30), 0.1], rel=1e-3)
    assert moved[1] == pytest.approx([0.001 * math.sqrt(2 / 30), 0.001], rel=1e-2)


def test_the_length_of_z_says_nothing():
    mapping, z = Mapping(8, 2), normal(3, 8)
    torch.testing.assert_close(mapping(z), mapping(5 * z))


# --- styles and noise -----------------------------------------------------------------------------------------------


def test_a_mixed_image_takes_each_layer_from_the_right_style():
    model = model_for()
    latent = {**model.latent(3, rng()), "crossover": torch.tensor([2, 6, 4])}
    first, second = model.mapping(latent["z"]), model.mapping(latent["other"])
    seen = []
    for layer in (*model.synthesis.layers, *model.synthesis.images):
        convolution = getattr(layer, "convolution", layer)
        convolution.style.register_forward_pre_hook(lambda module, args, layer=layer: seen.append((layer, args[0])))
    model.generate(latent)
    which = {layer: i for i, layer in enumerate(model.synthesis.layers)}
    which |= {image: 2 * i + 1 for i, image in enumerate(model.synthesis.images)}  # the style of the layer after it
    assert len(seen) == 5 + 3
    for layer, w in seen:
        for sample, crossover in enumerate((2, 6, 4)):
            expected = first if which[layer] < crossover else second
            torch.testing.assert_close(w[sample], expected[sample])


def test_latents_are_mixed_in_training_and_not_when_sampled_from():
    model = model_for()
    latent = model.latent(20_000, rng())
    assert latent["other"].shape == latent["z"].shape
    counts = latent["crossover"].bincount(minlength=7) / 20_000
    assert counts[0] == 0
    assert counts[1:6].tolist() == pytest.approx([0.9 / 5] * 5, abs=0.015)
    assert counts[6] == pytest.approx(0.1, abs=0.01)
    assert model_for(mixing=0.0).latent(50, rng())["crossover"].unique().tolist() == [6]
    model.eval()
    assert set(model.latent(2, rng())) == {"z", "noise"}
    styles = model.styles(model.latent(2, rng()))
    assert torch.equal(styles, styles[:, :1].expand(-1, 6, -1))


def test_noise_reaches_its_layer_by_its_strength():
    model = model_for().eval()
    latent = model.latent(2, rng())
    changed = {**latent, "noise": latent["noise"].clone()}
    changed["noise"][:, 16 + 64 : 16 + 2 * 64] += 1.0  # of the third layer, the second at 8x8
    assert latent["noise"].shape == (2, 16 + 2 * 64 + 2 * 256)
    assert torch.equal(model.generate(latent), model.generate(changed))  # every strength is 0 at first
    for i, layer in enumerate(model.synthesis.layers):
        torch.nn.init.constant_(layer.strength, float(i != 2))
    assert torch.equal(model.generate(latent), model.generate(changed))
    torch.nn.init.constant_(model.synthesis.layers[2].strength, 0.5)
    assert not torch.equal(model.generate(latent), model.generate(changed))


def test_the_image_is_the_sum_of_what_each_size_adds():
    model = model_for((1, 8, 8))
    latent, parts = model.latent(2, rng()), []
    for image in model.synthesis.images:
        image.register_forward_hook(lambda module, args, output: parts.append(output))
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
    assert StyleGAN2.across


# --- path length ----------------------------------------------------------------------------------------------------


class LinearImages:
    """An image of 4 x 4 that is a matrix times each style, and the sum over the layers."""

    def __init__(self, factors):
        self.factors = torch.tensor(factors)  # of each layer
        self.asked = []

    def styles(self, latent):
        self.asked.append(latent)
        return latent["z"][:, None].expand(-1, len(self.factors), -1).clone().requires_grad_()

    def synthesise(self, styles, latent):
        return (styles * self.factors[:, None]).sum(1).view(-1, 1, 4, 4)  # J of layer l = factor_l * identity


def test_a_linear_generators_path_lengths_are_those_of_y_times_its_factors():
    model, z = LinearImages([3.0, 4.0]), normal(5, 16)
    styles = model.styles({"z": z})
    torch.manual_seed(7)
    found = lengths(model.synthesise(styles, {}), styles)
    torch.manual_seed(7)
    y = torch.randn(5, 1, 4, 4) / 4
    expected = y.flatten(1).norm(dim=1) * math.sqrt((3**2 + 4**2) / 2)  # a mean over the layers
    torch.testing.assert_close(found, expected)


def test_the_penalty_is_the_squared_distance_from_the_running_mean():
    model, penalty, now = LinearImages([2.0]), PathLength(), {"z": normal(6, 16), "fake": normal(6, 1, 4, 4)}
    mean = 0.0
    for seed in range(3):
        torch.manual_seed(seed)
        term = penalty.term(model, {}, now)
        torch.manual_seed(seed)
        length = 2 * (torch.randn(3, 1, 4, 4) / 4).flatten(1).norm(dim=1)  # of half of the batch
        mean += (0.01 if seed else 1) * (length.mean().item() - mean)  # it starts at the first
        assert penalty.mean.item() == pytest.approx(mean, rel=1e-4)
        assert term.item() == pytest.approx((length - mean).square().mean().item(), rel=1e-4)
    assert torch.equal(model.asked[0]["z"], now["z"][:3])
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


def test_it_changes_what_steers_the_image_and_not_the_discriminator():
    model = model_for()
    term = PathLength().term(model, {}, model.latent(4, rng()))
    term.backward()
    idle = {name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()}
    for name, _ in model.named_parameters():
        assert (name in idle) == name.startswith("discriminator") or name in (
            f"synthesis.images.{i}.bias" for i in range(3)
        )


def test_a_model_without_styles_is_refused_with_those_that_have_them(workplace):
    settings = {"data.split": "test", "data.size": 32}
    with pytest.raises(UsageError, match=r"'path-length' asks the model for 'synthesise'.*these do: stylegan2"):
        package.train("fc-mnist", steps=1, penalties=["path-length"], settings=settings)


# --- sizes, training, the kit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (2, 64, 64)])
def test_it_fits_squares_of_powers_of_two(shape):
    model = model_for(shape)
    image = model.generate(model.latent(2, rng()))
    assert image.shape == (2, *shape)
    assert model.judge(image, {})["score"].shape == (2, 1)
    inside = model.eval().generate({name: 100 * value for name, value in model.latent(2, rng()).items()})
    assert inside.abs().max() <= 1


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (3, 32, 64), (2,)])
def test_what_does_not_fit_is_told_what_does(shape):
    with pytest.raises(ValueError, match="8, 16, 32" if len(shape) == 3 else "images"):
        model_for(shape)


def test_channels_double_towards_the_small_sizes():
    assert widths_of((1, 32, 32), 16, 64) == [64, 64, 32, 16]
    assert widths_of((1, 8, 8), 16, 8) == [16, 16]


def test_it_conforms():
    """Every parameter learns, resumes are exact, other sizes fit or are refused, it exports, and so on."""
    zoo = Zoo()
    testing.check(adapt(find_recipe(zoo, "fc-mnist"), data="mnist", **PARTS, settings=TINY), zoo=zoo)


def test_it_trains_resumes_and_samples(workplace):
    options = {**PARTS, "batch_size": 4, "device": "cpu", "settings": {**TINY, "train.ema": 0.9}}
    whole = package.train("fc-mnist", steps=7, out="whole", **options)
    package.train("fc-mnist", steps=4, out="parts", **options)
    parts = package.resume("parts", steps=7)  # the running mean included
    assert {"loss/path-length", "loss/r1"} <= set().union(*whole.metrics())
    image = whole.sample(3)
    assert image.shape == (3, 1, 32, 32)
    assert torch.equal(image, parts.sample(3))
    average = checkpoint.load(next(checkpoint.saved(whole.directory / "checkpoints"))).average
    assert {name.split(".")[0] for name in average} == {"mapping", "synthesis"}
