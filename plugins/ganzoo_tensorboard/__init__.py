"""TensorBoard: scalars and pictures of a run, in the run directory itself, for ``tensorboard --logdir runs``."""

from ganzoo import hookimpl

_writers = {}  # run directory -> SummaryWriter


@hookimpl
def ganzoo_run_started(run):
    """Open an event file; what an earlier session wrote after the checkpoint we go on from is hidden by purge_step."""
    from torch.utils.tensorboard import SummaryWriter

    earlier = any(run.directory.glob("events.out.tfevents.*"))
    purge = run.start_step + 1 if run.start_step else 0
    _writers[run.directory] = SummaryWriter(str(run.directory), purge_step=purge if earlier else None)


@hookimpl
def ganzoo_tick(run, tick):
    """Write the scalars: loss/..., D(x), D(G(z)) and whatever else is watched or measured, and the speed."""
    writer = _writers[run.directory]
    for name, value in tick.scalars.items():
        writer.add_scalar(name if "/" in name else f"scores/{name}", value, tick.step)
    writer.add_scalar("speed/images_per_second", tick.images_per_second, tick.step)


@hookimpl
def ganzoo_samples(run, step, images):
    """Write a grid of each: images/real and images/fake."""
    from ganzoo.images import grid

    for name, value in images.items():
        _writers[run.directory].add_image(f"images/{name}", grid(value), step)


@hookimpl
def ganzoo_alarm(run, step, alarm):
    """Write what is wrong, as text."""
    _writers[run.directory].add_text(f"alarms/{alarm.kind}", str(alarm), step)


@hookimpl
def ganzoo_checkpoint_saved(run):
    """Let the event file not fall behind the checkpoint."""
    _writers[run.directory].flush()


@hookimpl
def ganzoo_run_ended(run):
    """Close the event file."""
    _writers.pop(run.directory).close()
