"""The turns of a step: penalties join the moves of their player, or are lazy moves of their own."""

from dataclasses import replace

import pytest
import torch

import ganzoo
from ganzoo import UsageError
from ganzoo.recipes import read_one, to_toml
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from tests import toys


def _weight(zoo, penalties, step):
    """Return the discriminator's weights before and after one step, in which it moves for the ``step``th time, and the
    state."""
    state = TrainingState(build(zoo, toys.recipe(penalties=penalties)))
    state.moves["discriminator"] = step - 1
    before = state.model.discriminator[1].weight.detach().clone()
    with ganzoo.randomness.preserved():
        state.train_step(step, state.stream.fixed_examples(8), ScalarBuffer())
    return before, state.model.discriminator[1].weight.detach(), state


def test_a_penalty_joins_the_move_with_its_weight(toy_zoo):
    _, plain, _ = _weight(toy_zoo, {}, 1)
    _, pulled, state = _weight(toy_zoo, {"shrink": {"weight": 3.0}}, 1)
    assert torch.allclose(pulled, plain - 0.1 * 3.0)  # one step of SGD on 3 * sum(w) more
    assert [turn.player for turn in state.turns] == ["discriminator", "generator"]
    assert state.penalties["shrink"].asked == 1


def test_a_lazy_penalty_is_a_move_of_its_own_and_stronger_by_its_interval(toy_zoo):
    lazy = {"shrink": {"weight": 3.0, "every": 4}}
    _, plain, _ = _weight(toy_zoo, {}, 1)
    _, not_yet, state = _weight(toy_zoo, lazy, 1)
    _, due, _ = _weight(toy_zoo, lazy, 4)
    assert torch.equal(not_yet, plain)
    assert torch.allclose(due, plain - 0.1 * 3.0 * 4, atol=1e-6)
    assert [turn.player for turn in state.turns] == ["discriminator", "generator"]


def test_a_lazy_penalty_counts_the_moves_of_its_player(toy_zoo):
    """The discriminator moves in every fifth step, so a penalty with ``every=4`` is due in every twentieth."""
    state = TrainingState(build(toy_zoo, toys.recipe(penalties={"shrink": {"every": 4}})))
    discriminator, generator = state.turns
    state.turns = (replace(discriminator, every=5), generator)
    asked = []
    with ganzoo.randomness.preserved():
        for step in range(1, 41):
            state.train_step(step, state.stream.fixed_examples(8), ScalarBuffer())
            asked.append(int(state.penalties["shrink"].asked))
    assert [step for step in range(1, 41) if asked[step - 1] > (asked[step - 2] if step > 1 else 0)] == [20, 40]


@pytest.mark.parametrize("every", [1, 3])
def test_a_penalty_can_clip_weights_after_a_move(toy_zoo, every):
    _, weight, _ = _weight(toy_zoo, {"shrink": {"most": 0.01, "every": every}}, 3)
    assert weight.abs().max() <= 0.01


def test_a_penalty_without_a_term_changes_nothing(toy_zoo):
    for every in (1, 2):
        _, plain, _ = _weight(toy_zoo, {}, 2)
        _, same, _ = _weight(toy_zoo, {"nothing": {"every": every}}, 2)
        assert torch.equal(plain, same)


def test_penalties_that_do_not_fit_are_refused(toy_zoo):
    with pytest.raises(UsageError, match="'for-umpires' joins the moves of 'umpire', but this loss moves"):
        build(toy_zoo, toys.recipe(penalties={"for-umpires": {}}))
    with pytest.raises(UsageError, match=r"penalties\.shrink = 5 must be a table of options"):
        build(toy_zoo, toys.recipe(penalties={"shrink": 5}))
    with pytest.raises(UsageError, match=r"penalties\.shrink\.weihgt.*Did you mean 'penalties\.shrink\.weight'"):
        build(toy_zoo, toys.recipe(penalties={"shrink": {"weihgt": 5}}))
    with pytest.raises(UsageError, match=r"penalties\.shrink\.every = 0"):
        build(toy_zoo, toys.recipe(penalties={"shrink": {"every": 0}}))
    with pytest.raises(UsageError, match=r"Unknown penalty 'shirnk'\. Did you mean 'shrink'"):
        build(toy_zoo, toys.recipe(penalties={"shirnk": {}}))
    with pytest.raises(UsageError, match="a penalty have a term called 'discriminator'"):
        _weight(toy_zoo, {"discriminator": {}}, 1)


def test_penalties_can_be_set_in_recipes_and_on_the_command_line(toy_zoo, tmp_path, ganzoo):
    recipe = toys.recipe(penalties={"shrink": {"weight": 2.0}})
    path = tmp_path / "toy.toml"
    path.write_text(to_toml(recipe))
    assert read_one(path).penalties == {"shrink": {"weight": 2.0}}
    assert recipe.with_listed("penalties", ["nothing", "shrink"]).penalties == {
        "nothing": {},
        "shrink": {"weight": 2.0},
    }
    assert recipe.with_listed("penalties", ["none"]).penalties == {}
    result = ganzoo("run", path, "--steps", 2, "--set", "penalties.shrink.weight=7", "--out", "one")
    assert result.code == 0, result.err
    assert read_one(tmp_path / "workplace/one/recipe.toml").penalties["shrink"]["weight"] == 7.0
    assert ganzoo("run", path, "--steps", 2, "--penalty", "nothing", "--out", "two").code == 0
    assert list(read_one(tmp_path / "workplace/two/recipe.toml").penalties) == ["nothing"]
    assert ganzoo("run", path, "--steps", 2, "--penalty", "none", "--out", "three").code == 0
    assert "penalties" not in (tmp_path / "workplace/three/recipe.toml").read_text()
    assert "penalties.shrink.weight" in ganzoo("show", path).out
    assert "Pulls the discriminator" in ganzoo("show", "shrink").out
    assert "shrink" in ganzoo("list", "--kind", "penalties").out


def test_the_state_of_a_penalty_is_resumed(toy_zoo, tmp_path):
    recipe = toys.recipe(penalties={"shrink": {"every": 2}})
    undisturbed = ganzoo.train(recipe, steps=8, out=tmp_path / "undisturbed", checkpoint_every=4, zoo=toy_zoo)
    stopped = ganzoo.train(recipe, steps=4, out=tmp_path / "stopped", checkpoint_every=4, zoo=toy_zoo)
    ganzoo.resume(stopped.directory, steps=8, zoo=toy_zoo)
    name = "checkpoints/step-00000008/training.safetensors"
    assert (undisturbed.directory / name).read_bytes() == (stopped.directory / name).read_bytes()
