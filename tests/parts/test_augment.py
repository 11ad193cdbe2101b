"""Augmentations: what each transformation does, and how the adaptive ones follow the discriminator."""

import pytest
import torch
from ganzoo_augment import diffaugment
from ganzoo_augment.ada import ADA, warp
from ganzoo_augment.adaptive import APA
from ganzoo_augment.noise import InstanceNoise

import ganzoo
from ganzoo import Field, UsageError
from ganzoo.training.experiment import build
from tests import toys

IMAGE = {"image": Field((3, 16, 16))}


def _images(n=256):
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_color_shifts_by_up_to_a_half_and_changes_the_contrast_by_up_to_a_half():
    torch.manual_seed(0)
    images = _images()
    changed = diffaugment.TRANSFORMS["color"](images)
    shift = changed.mean((1, 2, 3)) - images.mean((1, 2, 3))
    assert shift.abs().max() <= 0.5 + 1e-5
    assert shift.std() == pytest.approx(1 / 12**0.5, rel=0.15)  # of U(-1/2, 1/2)
    spread = changed.mean(1).std((1, 2)) / images.mean(1).std((1, 2))  # of the gray picture: contrast only
    assert spread.min() >= 0.5 - 1e-3
    assert spread.max() <= 1.5 + 1e-3


def test_translation_moves_by_up_to_an_eighth_and_fills_with_gray():
    torch.manual_seed(0)
    dot = torch.zeros(400, 1, 16, 16)
    dot[:, :, 8, 8] = 1.0
    places = diffaugment.TRANSFORMS["translation"](dot).flatten(1).argmax(1)
    rows, columns = places // 16, places % 16
    assert set(rows.tolist()) == set(columns.tolist()) == {6, 7, 8, 9, 10}
    corner = torch.ones(200, 2, 16, 24)
    moved = diffaugment.TRANSFORMS["translation"](corner)
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert moved[:, :, 3:13, 4:20].min() == 1.0


def test_cutout_cuts_a_square_of_half_the_side():
    torch.manual_seed(0)
    cut = diffaugment.TRANSFORMS["cutout"](torch.ones(300, 2, 16, 16)) == 0
    sizes = cut[:, 0].sum((1, 2))
    assert sizes.max() == 64  # 8 x 8 if it is inside
    assert sizes.min() >= 16  # a quarter of that if its center is a corner
    assert torch.equal(cut[:, 0], cut[:, 1])


def test_augmentations_pass_gradients():
    images = _images(4).requires_grad_()
    ada = _ada(1.0)
    for transform in (*diffaugment.TRANSFORMS.values(), ada.transform):
        (gradient,) = torch.autograd.grad(transform(images).pow(3).sum(), images, create_graph=True)
        (second,) = torch.autograd.grad(gradient.square().sum(), images)  # as gradient penalties need it
        assert second.abs().sum() > 0


def _model(fields=IMAGE, conditions=()):
    return type("M", (), {"target": next(iter(fields)), "condition_fields": conditions})()


def _ada(probability, **options):
    ada = ADA(**options)
    ada.meet(_model(), IMAGE)
    ada.probability.fill_(probability)
    return ada


def test_warp_moves_flips_and_turns_exactly_and_mirrors_at_the_border():
    images = _images(2)
    same, flip = torch.eye(3).expand(2, 3, 3), torch.tensor([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]]).expand(2, 3, 3)
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).expand(2, 3, 3)
    assert torch.allclose(warp(images, same), images, atol=1e-6)
    assert torch.allclose(warp(images, flip), images.flip(3), atol=1e-6)
    assert torch.allclose(warp(images, turn), images.rot90(1, (2, 3)), atol=1e-5)
    shift = torch.tensor([[1.0, 0, 2], [0, 1, -3], [0, 0, 1]]).expand(2, 3, 3)
    padded = torch.nn.functional.pad(images, (0, 2, 3, 0), mode="reflect")
    assert torch.allclose(warp(images, shift), padded[:, :, :16, 2:], atol=1e-5)
    half = torch.tensor([[1.0, 0, 0.5], [0, 1, 0], [0, 0, 1]]).expand(2, 3, 3)
    assert torch.allclose(warp(images, half)[..., :15], (images[..., :15] + images[..., 1:]) / 2, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 16, 16), (3, 12, 20), (1, 1, 5)])
def test_ada_keeps_shapes_and_changes_nothing_at_probability_0(shape):
    ada, images = ADA(), torch.rand(5, *shape) * 2 - 1
    ada.meet(_model({"image": Field(shape)}), {"image": Field(shape)})
    assert torch.allclose(ada.transform(images), images, atol=1e-5)
    ada.probability.fill_(1.0)
    changed = ada.transform(images)
    assert changed.shape == images.shape
    assert changed.isfinite().all()
    assert not torch.allclose(changed, images, atol=0.1)


def test_ada_changes_the_share_of_images_that_the_probability_says():
    torch.manual_seed(0)
    images = _images(4000)
    for group, count in (("blit", 3), ("color", 5)):
        changed = _ada(0.3, groups=(group,)).transform(images)
        share = (changed - images).abs().amax((1, 2, 3)).gt(1e-3).double().mean().item()
        # Of all that are drawn, some change nothing: half of the flips, a quarter of the turns, half of the luma flips.
        kept = {"blit": 0.85 * (1 - 0.3 * 0.75) * (1 - 0.3 * 24 / 25), "color": 0.7**4 * 0.85}[group]
        assert share == pytest.approx(1 - kept, abs=0.03), (group, count)


def test_the_colors_of_ada_by_hand():
    torch.manual_seed(0)
    ada, images = _ada(1.0, groups=("color",)), _images(3000)
    changed = ada.transform(images)
    luma, before = changed.mean(1), images.mean(1)  # (n, 16, 16): hue and saturation leave it as it is
    gain = luma.std((1, 2)) / before.std((1, 2))  # contrast
    assert gain.log2().mean().item() == pytest.approx(0, abs=0.03)
    assert gain.log2().std().item() == pytest.approx(0.5, rel=0.05)
    covariance = ((luma - luma.mean((1, 2), keepdim=True)) * (before - before.mean((1, 2), keepdim=True))).mean((1, 2))
    sign = covariance.sign()
    assert sign.mean().item() == pytest.approx(0, abs=0.06)  # half of them are flipped
    brightness = sign * luma.mean((1, 2)) / gain - before.mean((1, 2))
    assert brightness.std().item() == pytest.approx(0.2, rel=0.05)
    chroma = [(x - x.mean(1, keepdim=True)).flatten(1).norm(dim=1) for x in (changed, images)]
    saturation = chroma[0] / chroma[1] / gain
    assert saturation.log2().std().item() == pytest.approx(1.0, rel=0.05)


def test_the_probability_follows_the_signs_of_the_scores():
    ada = _ada(0.0, samples=800)
    sure, unsure = torch.full((8, 1), 3.0), torch.tensor([[1.0], [-1.0]] * 4)
    logged = []
    for step in range(1, 13):
        ada.at(step)
        logged.append(ada.observe_scores(sure if step < 8 else unsure, -sure)["augmentation/ada"].item())
    # It changes before steps 4, 8 and 12, by the number of samples since the last change over 800.
    assert logged == pytest.approx([0.0] * 3 + [0.03] * 4 + [0.07] * 4 + [0.03])
    for step in range(13, 100):
        ada.at(step)
        ada.observe_scores(unsure, -sure)
    assert ada.probability == 0


def test_apa_shows_fakes_as_real_with_their_labels_to_the_discriminator_only(toy_zoo):
    torch.manual_seed(0)
    apa = APA()
    apa.meet(_model(), IMAGE)
    apa.probability.fill_(0.25)
    n = 2000
    real = {"image": torch.ones(n, 3, 2, 2), "label": torch.ones(n)}
    shared = {"fake": torch.zeros(n, 3, 2, 2, requires_grad=True), "label": torch.zeros(n), "z": torch.zeros(n, 2)}
    seen = apa.real_batch(real, shared)
    assert seen.keys() == real.keys()
    assert not seen["image"].requires_grad
    replaced = seen["image"][:, 0, 0, 0] == 0
    assert replaced.double().mean().item() == pytest.approx(0.25, abs=0.04)
    assert torch.equal(seen["label"], 1 - replaced.float())
    with pytest.raises(UsageError, match="they have no 'other' of their own"):
        apa.real_batch({**real, "other": torch.ones(n)}, shared)
    with pytest.raises(UsageError, match="this loss shares none"):
        apa.real_batch(real, {})


def test_instance_noise_falls_to_zero():
    noise, sample = InstanceNoise(std=0.5, steps=10), torch.zeros(4000, 2)
    stds = []
    for step in (1, 5, 10, 99):
        noise.at(step)
        stds.append(noise.transform(sample).std().item())
    assert stds == pytest.approx([0.45, 0.25, 0, 0], abs=0.01)
    steady = InstanceNoise(std=0.5)
    steady.at(10**9)
    assert steady.transform(sample).std().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["ada", "apa", "diffaugment", "instance-noise"])
def test_augmented_runs_log_and_resume_bit_for_bit(toy_zoo, tmp_path, name):
    tables = {name: {"samples": 64, "target": -0.9} if name in ("ada", "apa") else {}}
    recipe = toys.recipe("labeled", "classed", augmentations=tables, penalties={"r1": {}}, train={"log_every": 1})
    undisturbed = ganzoo.train(recipe, steps=12, out=tmp_path / "undisturbed", checkpoint_every=6, zoo=toy_zoo)
    stopped = ganzoo.train(recipe, steps=6, out=tmp_path / "stopped", checkpoint_every=3, zoo=toy_zoo)
    resumed = ganzoo.resume(stopped.directory, steps=12, zoo=toy_zoo)
    for key, value in undisturbed.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key]), key
    files = [run.directory / "checkpoints/step-00000012/training.safetensors" for run in (undisturbed, resumed)]
    assert files[0].read_bytes() == files[1].read_bytes()
    plain = ganzoo.train(recipe, steps=12, augmentations=["none"], out=tmp_path / "plain", zoo=toy_zoo)
    assert any(
        not torch.equal(value, plain.model.state_dict()[key]) for key, value in undisturbed.model.state_dict().items()
    )
    if tables[name]:
        probabilities = [line[f"augmentation/{name}"] for line in undisturbed.metrics()]
        assert probabilities == pytest.approx([0] * 3 + [3 * 8 / 64] * 4 + [7 * 8 / 64] * 4 + [1])


def test_what_does_not_fit_is_refused(toy_zoo):
    with pytest.raises(
        UsageError, match="'diffaugment' does not fit: it would move an image but not its condition 'neg"
    ):
        build(toy_zoo, toys.recipe(augmentations={"diffaugment": {}}))
    points = {"data": "ring8", "model": "mlp"}
    for name in ("ada", "diffaugment"):
        with pytest.raises(UsageError, match=rf"{name}' does not fit: it changes images .* has the shape \(2,\)"):
            build(toy_zoo, toys.recipe(**points, augmentations={name: {}}))
    with pytest.raises(ValueError, match="not images of 4 channels"):
        ADA().meet(_model(), {"image": Field((4, 8, 8))})
    ADA(groups=("blit",)).meet(_model(), {"image": Field((4, 8, 8))})
    with pytest.raises(UsageError, match=r"augmentations\.diffaugment\.policy\.0 = 'hue'"):
        build(toy_zoo, toys.recipe("labeled", "classed", augmentations={"diffaugment": {"policy": ["hue"]}}))
    with pytest.raises(UsageError, match=r"Unknown augmentation 'diffaugmnt'. Did you mean 'diffaugment'\?"):
        build(toy_zoo, toys.recipe("labeled", "classed", augmentations={"diffaugmnt": {}}))
