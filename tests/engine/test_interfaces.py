"""The interfaces: the base classes that plugins derive from, and the names that ganzoo exports."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo import Dataset, Field, LatentModel, Loss, Model, TensorDataset, Turn, Zoo
from ganzoo.events import tag
from ganzoo.training.players import build_players, check_optimizers
from ganzoo.training.turns import build_turns

POINTS = {"point": Field((2,)), "label": Field((), torch.int64, classes=4)}


class Tiny(LatentModel):
    def __init__(self, fields):
        super().__init__(fields, latent_dim=3)
        self.generator, self.discriminator = nn.Linear(3, 2), nn.Linear(2, 1)


class Owners(Model):
    """Players that own networks, single parameters, parts of networks and shared parts; something is frozen."""

    players = {"one": ("body", "scale"), "two": ("heads.first", "body.0"), "three": ("frozen",)}

    def __init__(self, fields):
        super().__init__(fields)
        self.body = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        self.body[1].weight = self.body[0].weight  # shared within the player
        self.scale = nn.Parameter(torch.ones(()))
        self.heads = nn.ModuleDict({"first": nn.Linear(2, 1), "second": nn.Linear(2, 1)})
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.heads["first"].bias.requires_grad_(False)

    def sample_latent(self, n, rng):
        return {}

    def generate(self, latent):
        return torch.zeros(1, 2)


def test_a_latent_model_draws_z_generates_and_discriminates():
    model = Tiny(POINTS)
    assert (model.target, model.latent_dim) == ("point", 3)
    latent = model.sample_latent(5, torch.Generator().manual_seed(1))
    assert latent.keys() == {"z"}
    assert torch.equal(latent["z"], torch.randn(5, 3, generator=torch.Generator().manual_seed(1)))
    sample = model.generate(latent)
    assert torch.equal(sample, model.generator(latent["z"]))
    heads = model.discriminate(sample, latent)
    assert heads.keys() == {"score"}
    assert torch.equal(heads["score"], model.discriminator(sample))
    assert model.latent_distributions == {"z": "normal"}


def test_the_inputs_of_a_generator_are_latents_and_condition_fields():
    class Conditional(Tiny):
        condition_fields = ("label",)

    real = {"point": torch.zeros(4, 2), "label": torch.arange(4)}
    inputs = Conditional(POINTS).generator_inputs(real, torch.Generator())
    assert inputs.keys() == {"z", "label"}
    assert torch.equal(inputs["label"], real["label"])
    assert len(inputs["z"]) == 4
    assert Tiny(POINTS).generator_inputs(real, torch.Generator()).keys() == {"z"}


def test_parameters_of_a_player_are_those_that_it_updates_each_once():
    model = Owners(POINTS)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    owned = {player: [names[id(p)] for p in model.parameters_of(player)] for player in model.players}
    assert owned == {
        "one": ["body.0.weight", "body.0.bias", "body.1.bias", "scale"],
        "two": ["heads.first.weight", "body.0.weight", "body.0.bias"],
        "three": [],
    }
    with pytest.raises(KeyError):
        list(model.parameters_of("four"))


def test_players_are_built_with_the_parameters_that_they_own():
    model = Owners(POINTS)
    model.players = {player: model.players[player] for player in ("one", "two")}
    players = build_players(model, check_optimizers(Zoo(), {"name": "sgd", "two": {"lr": 0.5}}, model.players))
    for name, player in players.items():
        assert [id(p) for p in player.parameters] == [id(p) for p in model.parameters_of(name)]
        (group,) = player.optimizer.param_groups
        assert [id(p) for p in group["params"]] == [id(p) for p in player.parameters]
    assert players["two"].optimizer.param_groups[0]["lr"] == 0.5


def test_the_device_of_a_model_is_that_of_its_parameters():
    assert Tiny(POINTS).device == torch.device("cpu")
    assert Tiny(POINTS).to("meta").device == torch.device("meta")


def test_a_model_without_discriminate_says_so():
    with pytest.raises(AttributeError, match=r"Owners has no discriminate\(\)"):
        Owners(POINTS).discriminate(torch.zeros(1, 2), {})


def test_the_target_of_a_dataset_is_its_first_field():
    dataset = TensorDataset({"b": torch.zeros(3, 2), "a": torch.zeros(3)})
    assert dataset.target == "b"

    class Listed(Dataset):
        fields = POINTS

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return {}

    assert Listed().target == "point"


def test_tensors_of_different_lengths_are_no_dataset():
    with pytest.raises(ValueError, match="at least one tensor, all of the same length"):
        TensorDataset({"a": torch.zeros(3), "b": torch.zeros(4)})
    with pytest.raises(ValueError, match="at least one tensor, all of the same length"):
        TensorDataset({})


def test_a_field_survives_its_json_form():
    for field in (*POINTS.values(), Field((3, 8, 8), torch.float64)):
        assert Field.of(field.plain()) == field


@pytest.mark.parametrize("turns", [[], None, [3], [Turn("generator", None, every=0)]])
def test_a_loss_must_return_turns(turns):
    class Odd(Loss):
        def turns(self):
            return turns

        def prepare_step(self, model, real, movers, rng):
            return {}

    with pytest.raises((ValueError, TypeError)):
        build_turns(Odd(), {})


def test_scalars_have_a_group_in_curves():
    assert [tag(name) for name in ("D(x)", "loss/generator")] == ["scores/D(x)", "loss/generator"]


@pytest.mark.parametrize("name", ganzoo.__all__)
def test_every_exported_name_exists(name):
    assert getattr(ganzoo, name) is not None
    assert name in dir(ganzoo)


def test_importing_ganzoo_is_quick_and_an_unknown_name_is_an_error():
    code = "import sys, ganzoo; from ganzoo import hookimpl, Observer, Alarm, UsageError; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
    with pytest.raises(AttributeError, match="module 'ganzoo' has no attribute 'Modle'"):
        _ = ganzoo.Modle


def test_type_checkers_and_python_find_the_same_names():
    tree = ast.parse(Path(ganzoo.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {alias.name: node.module for node in block.body for alias in node.names}
    assert {"__version__", "hookimpl", *typed} == set(ganzoo.__all__)
    for name, module in typed.items():
        assert getattr(importlib.import_module(module), name) is getattr(ganzoo, name)
