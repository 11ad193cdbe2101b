"""What TensorBoard reads from a run: scalars and pictures, the recipe as text, and the settings on the page HPARAMS."""

from pathlib import Path

import pytest

import ganzoo as package
from tests.conftest import TINY

pytest.importorskip("tensorboard")


@pytest.fixture
def run(ganzoo, workplace) -> Path:
    """A run of 20 steps, and of 10 more after a resume."""
    extra = ["--penalty", "gradient-penalty", "--set", "train.log_every=10", "--out", "run"]
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 20, *extra).code == 0
    assert ganzoo("resume", "run", "--steps", 30).code == 0
    return Path("run")


def test_the_recipe_is_on_its_pages(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    ((name, content),) = events.PluginTagToContent(metadata.PLUGIN_NAME).items()
    assert name == metadata.SESSION_START_INFO_TAG
    found = metadata.parse_session_start_info_plugin_data(content).hparams
    assert found["model"].string_value == "fc"
    assert found["train.batch_size"].number_value == 16
    assert found["penalties.gradient-penalty"].string_value == "gradient-penalty"
    assert found["penalties.gradient-penalty.weight"].number_value == 10
    (text,) = events.Tensors("recipe/text_summary")
    shown = text.tensor_proto.string_val[0].decode()
    assert shown.startswith("    [fc-mnist]\n")
    assert "[fc-mnist.model]" in shown


def test_scalars_are_those_of_the_run_and_real_pictures_are_there_once(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run), size_guidance={"images": 0})
    events.Reload()
    logged = {line["step"]: line["loss/generator"] for line in package.load(run).metrics()}
    assert {event.step: event.value for event in events.Scalars("loss/generator")} == pytest.approx(logged)
    assert list(logged) == [10, 20, 30]
    assert [event.step for event in events.Images("images/real")] == [0]
    assert [event.step for event in events.Images("images/fake")] == [0, 20, 30]
