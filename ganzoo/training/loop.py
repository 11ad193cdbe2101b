"""The one adversarial training loop. It knows players and turns, and no GAN in particular.

Nothing in a step leaves the device: scalars are noted as tensors, and everything that costs (a tick, pictures, a
checkpoint) happens between steps, when it is due.
"""

import signal
import time
from collections.abc import Mapping
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from ganzoo.alarm import Alarm, Alarmed
from ganzoo.data import Batch
from ganzoo.errors import GanzooError, Interrupted
from ganzoo.training import checkpoint, randomness, snapshot, views
from ganzoo.training.checkpoint import Checkpoint
from ganzoo.training.dealer import Dealer
from ganzoo.training.ema import Average
from ganzoo.training.experiment import Experiment
from ganzoo.training.files import forgiving
from ganzoo.training.ledger import Ledger, NonFinite
from ganzoo.training.observers import Observers
from ganzoo.training.players import seat
from ganzoo.training.run import RunDirectory, RunInfo, Tick
from ganzoo.training.signals import collected

ROLLBACKS = 3  # in one run; then on_collapse = "rollback" stops it


class Training:
    """An experiment in motion: ``snapshot.put_back`` puts it where a checkpoint stands, ``run`` takes it to its end."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.settings = experiment, experiment.settings
        self.model, self.loss, self.turns = experiment.model, experiment.loss, experiment.turns
        self.penalties = experiment.penalties
        seed, device = self.settings.seed, experiment.device
        asked = [self.model.given, self.model.needs, self.loss.needs, *(p.needs for p in self.penalties.values())]
        fields = {self.model.target, *chain.from_iterable(asked)}
        self.dealer = Dealer(experiment.data, fields, self.settings, device)
        self.players = seat(self.model, experiment.optimizers)
        self.average = Average(self.model, self.settings.ema) if self.settings.ema else None
        self.rng = randomness.generator(seed, "noise", device=device)
        self.step = 0
        self.seconds = 0.0
        self.rollbacks = 0  # how often it was put back, with other noise, to before it went wrong
        self.best: dict[str, Any] | None = None  # metric, value and step of the best checkpoint, if any is measured
        self.total_steps = self.settings.steps or self.settings.epochs * self.dealer.steps_per_epoch
        with randomness.preserved():
            randomness.seed_global(randomness.derive(seed, "global"))
            self.random = randomness.global_state()

    def play(self, step: int, real: Batch, ledger: Ledger, watched: bool = False) -> None:
        """Play one step: every turn that is due moves its player once, on its own parameters and no others. In a step
        that is watched, the norm of each mover's gradient is noted too."""
        turns = [turn for turn in self.turns if step % turn.every == 0]
        now = self.loss.begin(self.model, real, {turn.player for turn in turns}, self.rng)
        for number, turn in enumerate(turns, start=1):
            player = self.players[turn.player]
            terms = turn.objective(self.model, real, now)
            ledger.note(step, terms.loss, "loss/")
            ledger.note(step, terms.watch)
            if terms.loss:
                for parameter in player.parameters:
                    parameter.grad = None
                # Only the mover's parameters get gradients; the graph stays for the turns that share what began it.
                _sum(terms.loss).backward(inputs=player.parameters, retain_graph=number < len(turns))
                if watched:
                    ledger.note(step, {f"gradient/{turn.player}": player.gradient_norm()})
                player.optimizer.step()
            if turn.after:
                with torch.no_grad():
                    turn.after(self.model)
        if self.average:
            self.average.update(step)

    def run(self, directory: RunDirectory, observers: Observers) -> None:
        """Train to the end, from wherever it stands, and leave everything in the run directory.

        Raises:
            GanzooError: a loss is not finite, an alarm stops it, the disk is full; the message says how to go on.
            Interrupted: SIGINT or SIGTERM came; the step was finished and saved.
        """
        with randomness.preserved(), randomness.deterministic(self.experiment.device), collected() as signals:
            back = None
            while back := self._session(directory, observers, signals, back):
                continue

    def _session(
        self, directory: RunDirectory, observers: Observers, signals: list[int], back: Checkpoint | None
    ) -> Checkpoint | None:
        """Train from where it stands, or from where it is to go ``back``. Return None at the end, or the checkpoint to
        go back to where an alarm asks for a rollback."""
        info = self._info(directory, back.step if back else self.step)
        ending = ("failed", "")
        try:
            if back:
                self._roll_back(directory, back)
            if self.best and not checkpoint.path_of(directory.checkpoints, self.best["step"]).exists():
                self.best = None  # what was best when this checkpoint was written has been removed since
            observers.tell("ganzoo_run_started", run=info)
            randomness.set_global_state(*self.random)
            directory.write_record(info, "running", "", self.step, self.seconds)
            try:
                self._train(directory, observers, info, signals)
            except NonFinite as error:
                alarm = self._not_finite(error)
                self._sound(directory, observers, info, alarm)
                raise Alarmed(alarm) from error
            ending = ("finished", "")
            return None
        except Alarmed as stop:
            saved = self._way_back(directory, stop.alarm) if self.settings.on_collapse == "rollback" else None
            if saved:
                ending = ("rolled back", f"to step {saved.step}, to go on with other noise: {stop.alarm.message}")
                return saved
            ending = ("failed", stop.alarm.message)
            raise GanzooError(f"Training stopped: {stop.alarm} {self._how_to_go_on(directory, stop.alarm)}") from stop
        except Interrupted as stop:
            ending = ("interrupted", str(stop))
            raise
        except OSError as error:
            what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
            ending = ("failed", f"step {self.step}: {what}.")
            raise GanzooError(
                f"Training stopped at step {self.step}, because the system says: {what}. "
                f"{self._where_saved(directory)} Once that is mended (a full disk has room again), go on with: "
                f"ganzoo resume {directory.path}"
            ) from error
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:
            ending = ("failed", f"out of memory at step {self.step}.")
            raise GanzooError(
                f"Out of memory at step {self.step}. {self._where_saved(directory)} Train with a smaller "
                "--batch-size, or with --set train.resident=never."
            ) from error
        except KeyboardInterrupt as error:  # a second signal: stop at once
            where = f"at once, in step {self.step + 1}; not saved. {self._where_saved(directory)}"
            ending = ("interrupted", where)
            raise Interrupted(f"{where} Go on with: ganzoo resume {directory.path}", signal.SIGINT) from error
        except BaseException as error:
            ending = ("failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            try:
                with forgiving(ending[0] == "failed"):
                    directory.write_record(info, *ending, self.step, self.seconds)
            finally:
                observers.tell("ganzoo_run_ended", run=info, state=ending[0], reason=ending[1])

    def _train(self, directory: RunDirectory, observers: Observers, info: RunInfo, signals: list[int]) -> None:
        settings, per_epoch, end = self.settings, self.dealer.steps_per_epoch, self.total_steps
        ledger = Ledger()
        fixed = views.fixed(self)
        if self.step == 0:
            self._show(directory, observers, info, fixed, first=True)
        marked_step, marked_time, before = self.step, time.perf_counter(), self.seconds
        began, due = marked_time, self._next_due()

        batches = islice(self.dealer.batches(self.step), end - self.step)
        for step, real in enumerate(batches, start=self.step + 1):
            self.play(step, real, ledger, step == due)
            self.step = step
            if step < due and not signals:
                continue

            # Something is due: a tick always, pictures at the end of an epoch, a checkpoint now and then.
            stopping = bool(signals)  # asked once: a signal that comes from here on stops the next step
            scalars = ledger.settle()
            now = time.perf_counter()
            self.seconds = before + now - began
            speed = (step - marked_step) * settings.batch_size / (now - marked_time)
            ends_epoch = step % per_epoch == 0
            if step == end or (ends_epoch and (step // per_epoch) % settings.sample_every == 0):
                scalars = self._show(directory, observers, info, fixed) | scalars
            improved = False
            if self._evaluation_is_due():
                measured, improved = views.measure(self, directory)
                scalars |= measured
            tick = Tick(step, step / per_epoch, ends_epoch, self.seconds, speed, scalars)
            directory.write_metrics(tick)
            alarms = [alarm for answer in observers.tell("ganzoo_tick", run=info, tick=tick) for alarm in answer]
            for alarm in alarms:
                self._sound(directory, observers, info, alarm)
            fatal = next((alarm for alarm in alarms if alarm.fatal and settings.on_collapse != "warn"), None)
            if fatal and settings.on_collapse == "rollback":
                raise Alarmed(fatal)  # not saved: what is to be forgotten would push out what is to go back to
            if step % settings.checkpoint_every == 0 or step == end or stopping or improved or fatal:
                self._save(directory, observers, info)
            if fatal:
                raise Alarmed(fatal)
            if stopping and step < end:
                name = signal.Signals(signals[0]).name
                raise Interrupted(
                    f"{name} at step {step}; saved. Go on with: ganzoo resume {directory.path}", signals[0]
                )
            marked_step, marked_time, due = step, time.perf_counter(), self._next_due()

    def _next_due(self) -> int:
        """Return the next step after which something happens besides training."""
        settings = self.settings
        intervals = (
            settings.log_every,
            settings.checkpoint_every,
            settings.evaluate_every,
            self.dealer.steps_per_epoch,
        )
        return min(self.total_steps, *((self.step // every + 1) * every for every in intervals if every))

    def _evaluation_is_due(self) -> bool:
        every = self.settings.evaluate_every
        return bool(every) and (self.step % every == 0 or self.step == self.total_steps)

    def _show(
        self, directory: RunDirectory, observers: Observers, info: RunInfo, fixed: Batch, first: bool = False
    ) -> dict[str, float]:
        """Draw what the model makes of the fixed batch, show it to observers, and return the scalars they answer."""
        previews = views.preview(self, fixed)
        pictures = views.draw(directory, previews, self.step, first)
        answers = observers.tell("ganzoo_samples", run=info, step=self.step, images=pictures, samples=previews)
        return {name: value for answer in answers for name, value in answer.items()}

    # --- checkpoints, and going back to them ------------------------------------------------------------------------

    def _save(self, directory: RunDirectory, observers: Observers, info: RunInfo) -> None:
        spare = self.best["step"] if self.best else None
        path = checkpoint.save(directory.checkpoints, snapshot.take(self), self.settings.keep, spare)
        directory.write_record(info, "running", "", self.step, self.seconds)
        observers.tell("ganzoo_checkpoint_saved", run=info, step=self.step, path=path)

    def _roll_back(self, directory: RunDirectory, saved: Checkpoint) -> None:
        """Go back to a checkpoint and take other noise from there on, as a function of the seed and the count."""
        count, seed = self.rollbacks + 1, self.settings.seed
        snapshot.put_back(self, saved)
        self.rollbacks = count
        self.rng = randomness.generator(seed, "noise", "rollback", count, device=self.experiment.device)
        randomness.seed_global(randomness.derive(seed, "global", "rollback", count))
        self.random = randomness.global_state()
        directory.rewind(saved.step, count)

    def _way_back(self, directory: RunDirectory, alarm: Alarm) -> Checkpoint | None:
        """Return a whole checkpoint from before it went wrong, if there is one and hope is left: the newest, and one
        older each time, since trouble may begin before anybody sees it. Only those that were due count: what Ctrl-C
        left must not change which way a run goes."""
        due = self.settings.checkpoint_every
        steps = {checkpoint.step_of(path): path for path in checkpoint.saved(directory.checkpoints)}
        paths = [path for step, path in steps.items() if step <= alarm.since and step % due == 0]
        further = paths[min(self.rollbacks, len(paths) - 1) :] if paths else []
        return checkpoint.newest_whole(further)[0] if self.rollbacks < ROLLBACKS else None

    def _not_finite(self, error: NonFinite) -> Alarm:
        wrong = [name for name, value in self.model.named_parameters() if not value.isfinite().all()]
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        where = f"; at step {self.step} these weights are not finite: {', '.join(wrong[:3])}{more}" if wrong else ""
        remedy = "A lower learning rate (--set optimizer.lr=...) or another loss may help."
        return Alarm("non-finite", f"{error}{where}.", remedy, since=error.step - 1, fatal=True)

    def _sound(self, directory: RunDirectory, observers: Observers, info: RunInfo, alarm: Alarm) -> None:
        directory.write_alarm(alarm, self.step, self.rollbacks)
        observers.tell("ganzoo_alarm", run=info, step=self.step, alarm=alarm)

    def _how_to_go_on(self, directory: RunDirectory, alarm: Alarm) -> str:
        where = self._where_saved(directory)
        if self.settings.on_collapse == "rollback":
            why = f"No checkpoint of step {alarm.since} or before is left to roll back to."
            if self.rollbacks >= ROLLBACKS:
                why = f"It was rolled back {self.rollbacks} times already."
            where = f"{why} {where}"
        if alarm.kind == "non-finite":
            return f"{where} The run so far is kept."
        return f"{where} Go on all the same with: ganzoo resume {directory.path} --on-collapse warn"

    def _info(self, directory: RunDirectory, start: int) -> RunInfo:
        return RunInfo(
            directory=directory.path,
            recipe=self.experiment.recipe,
            device=str(self.experiment.device),
            examples=len(self.experiment.data),
            parameters={name: sum(p.numel() for p in player.parameters) for name, player in self.players.items()},
            batch_size=self.settings.batch_size,
            steps_per_epoch=self.dealer.steps_per_epoch,
            total_steps=self.total_steps,
            start_step=start,
        )

    def _where_saved(self, directory: RunDirectory) -> str:
        newest = next(checkpoint.saved(directory.checkpoints), None)
        return f"The newest checkpoint is {newest}." if newest else "No checkpoint had been saved yet."


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    first, *others = terms.values()
    for term in others:
        first = first + term
    return first
