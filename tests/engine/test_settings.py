"""Settings from Python are converted or refused, and options are read from any annotation."""

from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch

import ganzoo as package
from ganzoo import UsageError
from ganzoo.zoo import Zoo


def test_settings_from_python_are_converted_or_refused(workplace):
    recipe = Zoo().recipe("fc-mnist")
    settings = {"data.split": "test", "model.latent_dim": np.int64(5), "optimizer.lr": np.float32(0.5)}
    settings["optimizer.name"] = "sgd"
    run = package.train("fc-mnist", steps=2, device=torch.device("cpu"), settings=settings, out="run")
    assert run.recipe.model.options["latent_dim"] == 5
    assert run.recipe.optimizer["lr"] == 0.5
    for changed in (
        recipe.with_setting("optimizer.generator.lr", 0.1).with_setting("optimizer.lr", 0.2),
        recipe.with_setting("optimizer.generator.betas", [0.1, 0.2]).with_setting("optimizer.generator.name", "sgd"),
        recipe.with_setting("train.steps", 4).with_setting("train.epochs", 3),
    ):
        assert "steps" not in changed.train
        assert changed.optimizer.get("generator", {}) in ({}, {"name": "sgd"})
    for bad in ({"model.latent_dim": None}, {3: 4}, {"model.slope": object()}):
        with pytest.raises(UsageError):
            package.train("fc-mnist", steps=2, settings=bad)
    for wrong in ({"data": 3}, {"epochs": "3"}, {"seed": -1}):
        with pytest.raises(UsageError):
            package.train("fc-mnist", **wrong)
    with pytest.raises(TypeError, match=r"train\(\) has no argument 'epoch'. Did you mean 'epochs'?"):
        package.train("fc-mnist", epoch=1)
    with pytest.raises(TypeError, match=r"resume\(\) has no argument 'data'"):
        package.resume("run", steps=3, data="ring8")
    with pytest.raises(UsageError, match="ask for 1 or more"):
        run.sample(0)


def test_annotations_may_name_imports_for_type_checkers_only(install, workplace):
    parts = "{'models': {'lazy': 'lazy_parts:Lazy'}}"
    path = install("lazy", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_parts(): return {parts}")
    path.with_name("lazy_parts.py").write_text(
        dedent(
            """
            from __future__ import annotations
            from pathlib import Path
            from typing import TYPE_CHECKING
            from ganzoo_fc.model import FullyConnected
            if TYPE_CHECKING:
                from collections.abc import Mapping

            class Lazy(FullyConnected):
                def __init__(self, fields: Mapping[str, object], *, where: Path = Path("x"),
                             maybe: int | None = None, model_dump: int = 1) -> None:
                    super().__init__(fields)
            """
        )
    )
    settings = {"data.split": "test", "model.where": Path("y")}
    package.train("fc-mnist", steps=2, model="lazy", settings=settings, out="run")
    assert package.load("run").recipe.model.options["where"] == "y"
