"""The watcher: says in words when a training goes wrong, and what may help. See docs/health.md.

``diversity`` looks at the samples; ``watch`` holds the rules, which look at the scalars of the ticks and nothing else:
what it knows can be read from metrics.jsonl again, so a resumed run raises the same alarms as an undisturbed one.
"""

from ganzoo import hookimpl

_watches = {}  # run directory -> Watch


@hookimpl
def ganzoo_run_started(run):
    """Begin to watch; after a resume or a rollback, with all that was seen before."""
    from ganzoo.training.run import RunDirectory
    from ganzoo_health.watch import Watch

    watch = _watches[run.directory] = Watch(run.steps_per_epoch)
    for line in RunDirectory(run.directory).read_metrics():
        if line["step"] <= run.start_step:
            watch.see(line["step"], line)


@hookimpl
def ganzoo_samples(samples):
    """Measure how diverse the fakes are, where there are real samples of that shape to compare them with."""
    from ganzoo_health.diversity import diversity

    if "real" not in samples or "fake" not in samples:
        return None
    value = diversity(samples["fake"], samples["real"])
    return None if value is None else {"health/diversity": value}


@hookimpl
def ganzoo_tick(run, tick):
    """Return an alarm for each thing that begins to be wrong."""
    return _watches[run.directory].see(tick.step, tick.scalars)


@hookimpl
def ganzoo_run_ended(run):
    """Watch no longer."""
    _watches.pop(run.directory, None)
