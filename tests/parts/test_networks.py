"""The shared networks: which images fit, initial weights, memory layout, classes, and patches."""

import pytest
import torch
from ganzoo_networks.conditioning import ClassConditionalGenerator, ClassConditionalModel
from ganzoo_networks.conv import Generator, Trunk, channels_last, init_weights, resolutions
from ganzoo_networks.patch import PatchDiscriminator, source_channels

from ganzoo import Field

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48), (2, 40, 8), (1, 20, 24), (4, 10, 14), (3, 128, 128)]


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "none"])
def test_images_of_many_sizes_fit(shape, norm):
    image = Generator(6, shape, 4)(noise(3, 6))
    assert image.shape == (3, *shape)
    assert image.abs().max() <= 1
    trunk = Trunk(shape, 4, norm)
    assert trunk(image).shape == (3, trunk.features)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 64, 64), [64, 32, 16, 8, 4]),  # the paper's
        ((1, 28, 28), [28, 14, 7, 4]),
        ((1, 40, 40), [40, 20, 10, 5, 3]),
    ],
)
def test_an_image_is_halved_down_to_three_or_four_pixels(shape, expected):
    assert resolutions(shape) == [(side, side) for side in expected]
    seen = []
    trunk = Trunk(shape, width=2)
    for layer in trunk.layers:
        layer.register_forward_hook(lambda layer, inputs, output: seen.append(output.shape[-1]))
    trunk(noise(2, *shape))
    assert [side for i, side in enumerate(seen) if i == 0 or side != seen[i - 1]] == expected[1:]


def test_channels_double_up_to_eight_times():
    trunk = Trunk((3, 128, 128), width=2)
    assert trunk(noise(2, 3, 128, 128)).shape == (2, trunk.features) == (2, 16 * 4 * 4)
    assert [layer.out_channels for layer in trunk.modules() if isinstance(layer, torch.nn.Conv2d)] == [2, 4, 8, 16, 16]


@pytest.mark.parametrize("shape", [(1, 27, 28), (1, 28, 36), (3, 4, 4), (3, 7, 64), (1, 33, 33), (1, 0, 8), (2,)])
def test_other_shapes_are_refused_with_those_that_fit(shape):
    if len(shape) == 3:
        message = rf"4, 5, 6 or 7 times a power of two.* at least 8 pixels.* not {shape[1]}x{shape[2]}$"
    else:
        message = r"it needs images \(channels, height, width\), not \(2,\)"
    for build in (lambda: Generator(3, shape, 4), lambda: Trunk(shape, 4)):
        with pytest.raises(ValueError, match=message):
            build()


# --- weights, memory ------------------------------------------------------------------------------------------------


def test_initial_weights_are_the_papers():
    found = dict.fromkeys(("weights", "scales"), 0)
    for network in (Generator(100, (3, 32, 32), 32), Trunk((3, 32, 32), 32)):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear):
                found["weights"] += 1
                assert layer.weight.std().item() == pytest.approx(0.02, rel=5 / (2 * layer.weight.numel()) ** 0.5)
                assert abs(layer.weight.mean().item()) < 5 * 0.02 / layer.weight.numel() ** 0.5
            elif isinstance(layer, torch.nn.BatchNorm2d):
                found["scales"] += 1
                assert (layer.weight - 1).abs().max() < 0.12
                assert layer.weight.std() > 0.01
            if getattr(layer, "bias", None) is not None:
                assert not layer.bias.any()
    assert found == {"weights": 7, "scales": 5}


def test_init_weights_ignores_other_layers():
    layer = torch.nn.PReLU(2)
    init_weights(layer)
    assert layer.weight.tolist() == [0.25, 0.25]


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_channels_last_from_end_to_end(channels):
    """Layers that disagree on the layout are many times slower, and with one channel they easily do."""
    image = noise(2, channels, 28, 28)
    laid_out = channels_last(image)
    assert torch.equal(laid_out, image)
    assert laid_out.stride() == (28 * 28 * channels, 1, 28 * channels, channels)
    layouts = []

    def record(layer, inputs, output):
        layouts.append(output.shape[1] == 1 or output.stride(1) == 1)

    generator, trunk = Generator(6, (channels, 28, 28), 4), Trunk((channels, 28, 28), 4)
    for layer in (*generator.layers, *trunk.layers):
        layer.register_forward_hook(record)
    trunk(generator(noise(2, 6)))
    trunk(image)
    assert len(layouts) > 20
    assert all(layouts)


def test_a_trunk_computes_the_same_for_any_layout_of_its_input():
    trunk = Trunk((3, 16, 16), 4, "layer")
    image = noise(2, 3, 16, 16)
    torch.testing.assert_close(trunk(image), trunk(image.contiguous(memory_format=torch.channels_last)))
    flat = trunk(image).view(2, 4, 4, 8).movedim(3, 1)
    torch.testing.assert_close(flat, trunk.layers(image))


# --- classes --------------------------------------------------------------------------------------------------------


class Labeled(ClassConditionalModel):
    def __init__(self, fields):
        super().__init__(fields, 6)
        self.generator = ClassConditionalGenerator(6, self.classes, 5, fields["image"].shape, 4)


def labeled(classes=10):
    torch.manual_seed(0)
    return Labeled({"image": Field((1, 28, 28)), "label": Field((), torch.int64, classes)})


def latent_of(model, n):
    return model.sample_latent(n, torch.Generator().manual_seed(0))


def test_labels_are_drawn_uniformly():
    label = latent_of(labeled(classes=4), 4000)["label"]
    assert label.dtype == torch.int64
    assert (torch.bincount(label, minlength=5) / 1000 - torch.tensor([1, 1, 1, 1, 0])).abs().max() < 0.1


def test_another_label_gives_another_image_of_the_same_noise():
    model = labeled()  # in training mode, where batch normalization makes differences large
    z = latent_of(model, 1)["z"].repeat(10, 1)
    image = model.generate({"z": z, "label": torch.arange(10)}).flatten(1)
    assert torch.pdist(image).min() > 0.01


@pytest.mark.parametrize("label", [Field((), torch.int64), Field((40,), torch.int64, 2)])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ValueError, match="one of a known number of classes, not int64"):
        Labeled({"image": Field((1, 28, 28)), "label": label})


def test_a_preview_has_one_row_per_class_and_one_noise_per_column():
    model = labeled(classes=3).eval()
    fixed = {"image": noise(5, 1, 28, 28), **latent_of(model, 5)}
    preview = model.preview(fixed)
    assert torch.equal(preview["real"], fixed["image"])
    assert torch.equal(preview["fake"], model.generate(fixed))
    assert preview["class"].shape == (24, 1, 28, 28)
    single = model.generate({"z": fixed["z"][[2]], "label": torch.tensor([1])})
    torch.testing.assert_close(preview["class"][[8 + 2]], single)
    torch.testing.assert_close(preview["class"][[8 + 2 + 5]], single)  # there are only five noises


def test_a_preview_of_many_classes_stays_small():
    model = labeled(classes=1000)
    assert len(model.preview({"image": noise(2, 1, 28, 28), **latent_of(model, 2)})["class"]) == 16 * 8


# --- patches --------------------------------------------------------------------------------------------------------


def test_each_score_belongs_to_a_patch_of_18_pixels():
    network = PatchDiscriminator(2, channels=2)
    torch.nn.init.constant_(network.layers[0].weight, 0.1)
    torch.nn.init.constant_(network.layers[-1].weight, 0.1)
    network.layers[3] = torch.nn.Identity()  # the norm, which looks at the entire image
    pair = torch.rand(1, 2, 28, 28, requires_grad=True)
    network(pair).view(7, 7)[3, 3].backward()
    seen = pair.grad[0].ne(0)
    assert torch.equal(seen[0], seen[1])
    rows, columns = seen[0].any(1).nonzero(), seen[0].any(0).nonzero()
    assert [rows.min(), rows.max(), columns.min(), columns.max()] == [5, 22, 5, 22]


@pytest.mark.parametrize(
    ("image", "source", "complaint"),
    [
        ((1, 30, 28), (1, 30, 28), "4, 5, 6 or 7 times a power of two"),
        ((2,), (2,), "it needs images"),
        ((1, 28, 28), (1, 14, 14), "source of the same height and width"),
        ((1, 28, 28), (28,), "source of the same height and width"),
    ],
)
def test_image_and_source_must_fit_together(image, source, complaint):
    with pytest.raises(ValueError, match=complaint):
        source_channels({"image": Field(image), "source": Field(source)}, "image")
