"""Differentiable augmentation: what each kind does, and that only the training discriminator sees it."""

import copy
from dataclasses import replace

import pytest
import torch

import ganzoo
from ganzoo import UsageError
from ganzoo.training import augment
from ganzoo.training.experiment import build
from tests import toys


def _images(n=256):
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_colour_keeps_what_it_does_not_name():
    torch.manual_seed(0)
    images = _images()
    changed = augment.KINDS["colour"](images)
    shift = changed.mean((1, 2, 3)) - images.mean((1, 2, 3))
    assert shift.abs().max() <= 0.5 + 1e-5
    assert shift.std() == pytest.approx(1 / 12**0.5, rel=0.15)  # of U(-1/2, 1/2)
    spread = changed.mean(1).std((1, 2)) / images.mean(1).std((1, 2))  # of the grey picture: contrast alone
    assert spread.min() >= 0.5 - 1e-3
    assert spread.max() <= 1.5 + 1e-3


def test_translation_moves_by_up_to_an_eighth_and_fills_with_grey():
    torch.manual_seed(0)
    dot = torch.zeros(400, 1, 16, 16)
    dot[:, :, 8, 8] = 1.0
    places = augment.KINDS["translation"](dot).flatten(1).argmax(1)
    rows, columns = places // 16, places % 16
    assert set(rows.tolist()) == set(columns.tolist()) == {6, 7, 8, 9, 10}
    corner = torch.ones(200, 2, 16, 24)
    moved = augment.KINDS["translation"](corner)
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert moved[:, :, 3:13, 4:20].min() == 1.0


def test_cutout_cuts_half_the_sides():
    torch.manual_seed(0)
    cut = augment.KINDS["cutout"](torch.ones(300, 2, 16, 16)) == 0
    sizes = cut[:, 0].sum((1, 2))
    assert sizes.max() == 64  # 8 x 8, where it lies inside
    assert sizes.min() >= 16  # and a quarter of it where its middle is a corner
    assert torch.equal(cut[:, 0], cut[:, 1])


def test_augmentations_pass_gradients():
    images = _images(4).requires_grad_()
    for kind in augment.KINDS.values():
        (gradient,) = torch.autograd.grad(kind(images).square().sum(), images)
        assert gradient.abs().sum() > 0


def test_the_discriminator_sees_augmented_samples_and_only_while_it_trains(toy_zoo):
    settings = {"augment": ["colour", "cutout"]}
    recipe = replace(toys.recipe("labelled", "classed"), train={"augment": settings["augment"], "batch_size": 8})
    model = build(toy_zoo, recipe).model
    assert isinstance(model, toys.Labelled)
    for discriminate in (model, copy.deepcopy(model)):
        sample = torch.rand(4, 1, 8, 8)
        plain = discriminate.trunk(sample)[:, :1]
        assert not torch.allclose(discriminate.discriminate(sample, {})["score"], plain)
        discriminate.eval()
        assert torch.equal(discriminate.discriminate(sample, {})["score"], plain)
    first, second = (build(toy_zoo, recipe).model for _ in range(2))
    assert type(first).discriminate is not type(build(toy_zoo, toys.recipe("labelled", "classed")).model).discriminate
    torch.manual_seed(0)
    score = first.discriminate(sample, {})["score"]
    torch.manual_seed(0)
    assert torch.equal(second.discriminate(sample, {})["score"], score)


def test_augmented_runs_resume_exactly(toy_zoo, tmp_path):
    recipe = toys.recipe("labelled", "classed", train={"augment": ["colour", "translation", "cutout"]})
    whole = ganzoo.train(recipe, steps=6, out=tmp_path / "whole", checkpoint_every=3, zoo=toy_zoo)
    half = ganzoo.train(recipe, steps=3, out=tmp_path / "half", checkpoint_every=3, zoo=toy_zoo)
    resumed = ganzoo.resume(half.directory, steps=6, zoo=toy_zoo)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_augmenting_what_cannot_be(toy_zoo):
    with pytest.raises(UsageError, match="would move an image, and not the 'negative' it is judged with"):
        build(toy_zoo, toys.recipe(train={"augment": ["colour"]}))
    with pytest.raises(UsageError, match="for models that judge images"):
        build(toy_zoo, replace(toy_zoo.recipe("fc-ring8"), train={"augment": ["colour"]}))
    with pytest.raises(UsageError, match=r"train\.augment\.0 = 'color'"):
        build(toy_zoo, toys.recipe(train={"augment": ["color"]}))
