"""Differentiable augmentation: what each transformation does, and that only the training discriminator sees it."""

import copy
from dataclasses import replace

import pytest
import torch

import ganzoo
from ganzoo import UsageError
from ganzoo.training import augment
from ganzoo.training.experiment import build
from ganzoo.training.state import TrainingState
from tests import toys


def _images(n=256):
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_color_shifts_by_up_to_a_half_and_changes_the_contrast_by_up_to_a_half():
    torch.manual_seed(0)
    images = _images()
    changed = augment.TRANSFORMS["color"](images)
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
    places = augment.TRANSFORMS["translation"](dot).flatten(1).argmax(1)
    rows, columns = places // 16, places % 16
    assert set(rows.tolist()) == set(columns.tolist()) == {6, 7, 8, 9, 10}
    corner = torch.ones(200, 2, 16, 24)
    moved = augment.TRANSFORMS["translation"](corner)
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert moved[:, :, 3:13, 4:20].min() == 1.0


def test_cutout_cuts_a_square_of_half_the_side():
    torch.manual_seed(0)
    cut = augment.TRANSFORMS["cutout"](torch.ones(300, 2, 16, 16)) == 0
    sizes = cut[:, 0].sum((1, 2))
    assert sizes.max() == 64  # 8 x 8 if it is inside
    assert sizes.min() >= 16  # a quarter of that if its center is a corner
    assert torch.equal(cut[:, 0], cut[:, 1])


def test_augmentations_pass_gradients():
    images = _images(4).requires_grad_()
    for transform in augment.TRANSFORMS.values():
        (gradient,) = torch.autograd.grad(transform(images).square().sum(), images)
        assert gradient.abs().sum() > 0


def test_the_discriminator_sees_augmented_samples_in_training_mode_only(toy_zoo):
    recipe = replace(toys.recipe("labeled", "classed"), train={"augment": ["color", "cutout"], "batch_size": 8})
    model = build(toy_zoo, recipe).model
    assert isinstance(model, toys.Labeled)
    for copied in (model, copy.deepcopy(model)):
        sample = torch.rand(4, 1, 8, 8)
        plain = copied.trunk(sample)[:, :1]
        assert not torch.allclose(copied.discriminate(sample, {})["score"], plain)
        copied.eval()
        assert torch.equal(copied.discriminate(sample, {})["score"], plain)
    first, second = (build(toy_zoo, recipe).model for _ in range(2))
    assert type(first).discriminate is not type(build(toy_zoo, toys.recipe("labeled", "classed")).model).discriminate
    torch.manual_seed(0)
    score = first.discriminate(sample, {})["score"]
    torch.manual_seed(0)
    assert torch.equal(second.discriminate(sample, {})["score"], score)


def test_augmented_runs_resume_bit_for_bit(toy_zoo, tmp_path):
    recipe = toys.recipe("labeled", "classed", train={"augment": ["color", "translation", "cutout"]})
    undisturbed = ganzoo.train(recipe, steps=6, out=tmp_path / "undisturbed", checkpoint_every=3, zoo=toy_zoo)
    stopped = ganzoo.train(recipe, steps=3, out=tmp_path / "stopped", checkpoint_every=3, zoo=toy_zoo)
    resumed = ganzoo.resume(stopped.directory, steps=6, zoo=toy_zoo)
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_models_that_cannot_be_augmented_are_refused(toy_zoo):
    with pytest.raises(UsageError, match="would move an image but not its condition 'negative'"):
        build(toy_zoo, toys.recipe(train={"augment": ["color"]}))
    with pytest.raises(UsageError, match="for models that discriminate images"):
        build(toy_zoo, replace(toy_zoo.recipe("fc-ring8"), train={"augment": ["color"]}))
    with pytest.raises(UsageError, match=r"train\.augment\.0 = 'hue'"):
        build(toy_zoo, toys.recipe(train={"augment": ["hue"]}))


def test_instance_noise_is_added_in_training_and_falls_to_zero(toy_zoo):
    train = {"instance_noise": 0.5, "instance_noise_steps": 10}
    state = TrainingState(build(toy_zoo, toys.recipe("labeled", "classed", train=train)))
    sample, seen = torch.zeros(4000, 1, 8, 8), []
    state.model.trunk.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].std().item()))
    for step in (1, 5, 10, 99):
        state.at(step)
        state.model.discriminate(sample, {})
    state.at(1)
    state.model.eval().discriminate(sample, {})
    assert seen == pytest.approx([0.45, 0.25, 0, 0, 0], abs=0.01)
