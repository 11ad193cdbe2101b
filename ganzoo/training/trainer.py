"""The trainer: the one adversarial training loop. It knows players and turns, and no GAN in particular.

Nothing in a step leaves the device: scalars are kept as tensors. Everything that costs time (a tick, pictures, an
evaluation, a checkpoint) happens between steps, when it is due.
"""

import shlex
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from ganzoo import console, distributed, randomness
from ganzoo.data import Batch
from ganzoo.errors import GanzooError, Interrupted, explained, format_error, shortage, warn
from ganzoo.events import Alarm, RunInfo, Tick
from ganzoo.runs import checkpoint
from ganzoo.runs.checkpoint import Checkpoint
from ganzoo.runs.directory import RunDirectory
from ganzoo.training import previews
from ganzoo.training.cadence import Cadence
from ganzoo.training.eval_mode import eval_mode
from ganzoo.training.observers import Observers, run_info
from ganzoo.training.players import learning_rates
from ganzoo.training.scalars import NonFinite
from ganzoo.training.signals import deferred_signals, stop_signal
from ganzoo.training.state import TrainingState
from ganzoo.zoo import Zoo

MAX_ROLLBACKS = 3  # per run; the next alarm stops it


class AlarmStop(Exception):
    """An alarm ends a session of training."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(str(alarm))
        self.alarm = alarm


class Trainer:
    """Trains until the last step and writes everything to a run directory."""

    def __init__(self, state: TrainingState, directory: RunDirectory, zoo: Zoo) -> None:
        self.state, self.directory, self.zoo = state, directory, zoo
        self.settings = state.settings
        self.cadence = Cadence(state.settings, state.stream.steps_per_epoch, state.total_steps)
        self.resume_command = f"{distributed.command()} resume {shlex.quote(str(directory.path))}"
        self.info: RunInfo
        self.observers: Observers

    def run(self) -> None:
        """Train to the end, from the current step.

        Raises:
            GanzooError: a loss is not finite, an alarm stops training, or memory or disk space runs out; the message
                says how to continue.
            Interrupted: Ctrl-C, SIGTERM or SIGHUP. The step was finished and saved, unless a second signal came more
                than a second later.
        """
        deterministic = randomness.deterministic(self.state.experiment.device)
        with console.steady(), randomness.preserved(), deterministic, deferred_signals() as signals:
            target = None
            while target := self._session(signals, target):
                continue

    def _session(self, signals: list[int], target: Checkpoint | None) -> Checkpoint | None:
        """Train from the current step, or from the checkpoint ``target`` after a rollback. Return None at the end, or
        the checkpoint to return to if an alarm asks for a rollback."""
        state, folder = self.state, self.directory.checkpoints
        self.info = run_info(state, self.directory.path, target.step if target else state.step)
        self.observers = Observers()
        ending = ("failed", "")
        try:
            if target:
                state.roll_back(target)
                self.directory.rewind(target.step, state.rollbacks)
            if state.best and not distributed.from_first(checkpoint.path_of(folder, state.best["step"]).exists):
                state.best = None  # it has been removed since this checkpoint was written
            self._write_status("running", "")
            if distributed.is_first():
                self.observers.start(self.zoo, self.info)
            randomness.set_global_state(*state.global_random)
            if state.origin and state.saved_step is None:
                self._save()  # so that the source is not needed again
            try:
                self._train(signals)
            except NonFinite as error:
                alarm = self._non_finite_alarm(error)
                self._raise_alarms([alarm])
                raise AlarmStop(alarm) from error
            ending = ("finished", "")
            return None
        except AlarmStop as stop:
            find = partial(self._rollback_target, stop.alarm)
            saved = distributed.from_first(find) if self.settings.on_collapse == "rollback" else None
            if saved:
                ending = ("rolled back", f"to step {saved.step}, to continue with other noise: {stop.alarm.message}")
                return saved
            ending = ("failed", stop.alarm.message)
            raise GanzooError(f"Training stopped: {stop.alarm} {self._how_to_continue(stop.alarm)}") from stop
        except Interrupted as stop:
            ending = ("interrupted", str(stop))
            raise
        except BaseException as error:
            reason, told = self._explain(error)
            ending = ("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", reason)
            if told:
                raise told from error
            raise
        finally:
            self._end(*ending)

    def _end(self, name: str, reason: str) -> None:
        """Record the end of a session and tell the observers. After a failure, the first error is the one to show."""
        try:
            self._write_status(name, reason)
        except Exception:
            if name != "failed":
                raise
            with suppress(Exception):  # the next loader process died meanwhile, or memory has been returned
                self._write_status(name, reason)
        finally:
            self.observers.tell("on_end", name, reason)

    def _explain(self, error: BaseException) -> tuple[str, BaseException | None]:
        """Return the reason for run.json, and the exception that tells the user what to do; None if ``error`` does."""
        step, newest = self.state.step, self._newest_checkpoint()
        if isinstance(error, KeyboardInterrupt):  # a second signal: stop immediately
            reason = f"a second signal, in step {step + 1}; that step was not saved. {newest}"
            return reason, Interrupted(f"{reason} Continue with: {self.resume_command}", signal.SIGINT)
        if isinstance(error, distributed.ProcessLost):
            return str(error), distributed.ProcessLost(f"{error} {newest} Continue with: {self.resume_command}")
        if isinstance(error, OSError):
            what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
            return f"step {step}: {what}.", GanzooError(
                f"Training stopped at step {step} because of a system error: {what}. {newest} Once that is fixed (for "
                f"example, disk space is freed), continue with: {self.resume_command}"
            )
        if lacking := shortage(error):
            reason = f"{lacking[0]}, at step {step}."
            return reason, GanzooError(f"{reason} {newest} {lacking[1]}.")
        playing = self.state.playing
        if isinstance(error, GanzooError) or playing is None:
            return format_error(error), None
        what = f"step {step + 1}, in the turn of {playing.player!r}: {explained(error)}"
        return what, GanzooError(
            f"Training stopped in {what}. The loss is {self._part('loss')}, the model is {self._part('model')}. "
            f"{newest} --debug shows where it happened."
        )

    def _train(self, signals: list[int]) -> None:
        state, cadence, end = self.state, self.cadence, self.state.total_steps
        fixed = previews.fixed_batch(state)
        if state.step == 0:
            self._show(fixed, first=True)
        start_time, seconds_before = time.perf_counter(), state.seconds
        since, began, due = state.step, start_time, cadence.next_due(state.step)

        batches = islice(state.stream.batches(state.step), end - state.step)
        for step, real in enumerate(batches, start=state.step + 1):
            state.train_step(step, real, state.scalars, log_gradients=cadence.tick(step))
            state.step = step
            stopping = stop_signal(signals)  # of any process; one that arrives from here on counts in the next step
            if step < due and not stopping:
                continue

            # Something is due: a tick, pictures, an evaluation, a checkpoint.
            state.scalars.collect()
            now = time.perf_counter()
            state.seconds = seconds_before + now - start_time
            improved, fatal = cadence.evaluation(step) and self._evaluate(), None
            if cadence.tick(step):
                fatal = self._tick((step - since) * self.settings.batch_size / (now - began), fixed)
            if cadence.checkpoint(step) or stopping or improved or fatal:
                self._save()
            if fatal:
                raise AlarmStop(fatal)
            if stopping and step < end:
                name = signal.Signals(stopping).name
                raise Interrupted(f"{name} at step {step}; saved. Continue with: {self.resume_command}", stopping)
            began, due = began + time.perf_counter() - now, cadence.next_due(step)  # only steps count for the speed
            if cadence.tick(step):
                since, began = step, time.perf_counter()

    def _tick(self, speed: float, fixed: Batch) -> Alarm | None:
        """Write the means since the previous tick and tell the observers; show pictures before, if they are due. Return
        the alarm that stops training, if there is one.

        Raises:
            AlarmStop: an alarm asks for a rollback.
        """
        state, settings, step = self.state, self.settings, self.state.step
        scalars = self._show(fixed) if self.cadence.pictures(step) else {}
        scalars |= state.scalars.pop_means() | learning_rates(state.players, step, state.total_steps)
        epoch = step / state.stream.steps_per_epoch
        tick = Tick(step, epoch, self.cadence.ends_epoch(step), state.seconds, speed, scalars)
        self.directory.write_metrics(tick)
        alarms = [alarm for answer in self.observers.tell("on_tick", tick) for alarm in answer]
        alarms = distributed.from_first(lambda: alarms)
        self._raise_alarms(alarms)
        fatal = next((alarm for alarm in alarms if alarm.fatal and settings.on_collapse != "warn"), None)
        if fatal and settings.on_collapse == "rollback":
            raise AlarmStop(fatal)  # without saving: it would push out the checkpoint to return to
        return fatal

    def _show(self, fixed: Batch, first: bool = False) -> dict[str, float]:
        """Draw the model's preview of the fixed batch, show it to the observers, and return their scalars."""
        samples = previews.preview(self.state, fixed)
        pictures = previews.save_pictures(self.state, self.directory, samples, first)
        answers = self.observers.tell("on_samples", self.state.step, pictures, samples)
        return {name: value for answer in answers for name, value in answer.items()}

    def _evaluate(self) -> bool:
        """Evaluate and record the numbers, which join the next tick. Return whether the first metric is the best so far
        (``state.best`` is then updated). If something cannot be measured, warn and continue."""
        state, experiment = self.state, self.state.experiment
        evaluator = experiment.evaluator
        assert evaluator
        try:
            with eval_mode(state):  # by one process, so that all know the same numbers
                results = distributed.from_first(partial(evaluator.measure, state.model))
        except distributed.ProcessLost:
            raise
        except GanzooError as error:
            warn(f"step {state.step} could not be measured: {error}")
            return False
        where: dict[str, Any] = {"checkpoint": "training", "step": state.step, "device": str(experiment.device)}
        self.directory.write_records([result.record(experiment.eval_data, **where) for result in results])
        name, (value, better, _) = results[0].name, results[0].score
        best = state.best if state.best and state.best["metric"] == name else None
        improved = bool(better) and (
            best is None or (value > best["value"] if better == "higher" else value < best["value"])
        )
        if improved:
            state.best = {"metric": name, "value": value, "step": state.step}
        state.scalars.put({f"metric/{result.name}": result.score.value for result in results})
        return improved

    def _save(self) -> None:
        state = self.state
        spare = state.best["step"] if state.best else None
        path = self.directory.save(state.state_dict(), self.settings.keep, spare)
        state.saved_step = state.step
        self._write_status("running", "")
        self.observers.tell("on_checkpoint", state.step, path)

    def _write_status(self, name: str, reason: str) -> None:
        state = self.state
        self.directory.write_status(self.info, name, reason, state.step, state.seconds, state.history)

    # --- alarms and rollbacks ---------------------------------------------------------------------------------------

    def _raise_alarms(self, alarms: Sequence[Alarm]) -> None:
        for alarm in alarms:
            self.directory.write_alarm(alarm, self.state.step, self.state.rollbacks)
            self.observers.tell("on_alarm", self.state.step, alarm)

    def _non_finite_alarm(self, error: NonFinite) -> Alarm:
        wrong = [name for name, value in self.state.model.named_parameters() if not value.isfinite().all()]
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        where = (
            f"; at step {self.state.step} these weights are not finite: {', '.join(wrong[:3])}{more}" if wrong else ""
        )
        remedy = "A lower learning rate (--set optimizer.lr=...) or another loss may help."
        return Alarm("non-finite", f"{error}{where}.", remedy, last_healthy_step=error.step - 1, fatal=True)

    def _rollback_target(self, alarm: Alarm) -> Checkpoint | None:
        """Return a valid checkpoint from before the trouble, if one exists and rollbacks remain: the newest one, and an
        older one at each further rollback, because trouble may begin before it is noticed. Only scheduled checkpoints
        count: an interruption must not change the course of a run."""
        every = self.settings.checkpoint_every
        steps = {checkpoint.step_of(path): path for path in checkpoint.saved(self.directory.checkpoints)}
        paths = [path for step, path in steps.items() if step <= alarm.last_healthy_step and step % every == 0]
        older = paths[min(self.state.rollbacks, len(paths) - 1) :]
        return checkpoint.latest_valid(older)[0] if self.state.rollbacks < MAX_ROLLBACKS else None

    def _how_to_continue(self, alarm: Alarm) -> str:
        where = self._newest_checkpoint()
        if self.settings.on_collapse == "rollback":
            why = f"No checkpoint from step {alarm.last_healthy_step} or earlier is left to roll back to."
            if self.state.rollbacks >= MAX_ROLLBACKS:
                why = f"The run has already been rolled back {self.state.rollbacks} times."
            where = f"{why} {where}"
        if alarm.kind == "non-finite":
            return f"{where} The run so far is kept."
        return f"{where} To continue anyway: {self.resume_command} --on-collapse warn"

    def _part(self, kind: str) -> str:
        name = getattr(self.state.experiment.recipe, kind).name
        return f"{name!r} of the plugin {self.zoo.part(kind, name).plugin}"

    def _newest_checkpoint(self) -> str:
        newest = next(checkpoint.saved(self.directory.checkpoints), None)
        return f"The newest checkpoint is {newest}." if newest else "No checkpoint has been saved yet."
