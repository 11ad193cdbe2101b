"""The one adversarial training loop. It knows players and turns, and no GAN in particular.

Nothing in a step leaves the device: scalars are noted as tensors, and everything that costs (a tick, pictures, a
checkpoint) happens between steps, when it is due.
"""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from ganzoo import images
from ganzoo.data import Batch
from ganzoo.errors import GanzooError, Interrupted, UsageError
from ganzoo.evaluation import cards
from ganzoo.registry import PARTS
from ganzoo.training import checkpoint, randomness
from ganzoo.training.checkpoint import Checkpoint
from ganzoo.training.dealer import Dealer
from ganzoo.training.ema import Average
from ganzoo.training.experiment import Experiment
from ganzoo.training.ledger import Ledger, NonFinite
from ganzoo.training.observers import Observers
from ganzoo.training.players import seat
from ganzoo.training.run import RunDirectory, RunInfo, Tick
from ganzoo.training.signals import collected


class Training:
    """An experiment in motion: ``restore`` puts it where a checkpoint stands, ``run`` takes it to its end."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.settings = experiment, experiment.settings
        self.model, self.loss, self.turns = experiment.model, experiment.loss, experiment.turns
        seed, device = self.settings.seed, experiment.device
        fields = {self.model.target, *self.model.needs, *self.loss.needs}
        self.dealer = Dealer(experiment.data, fields, self.settings, device)
        self.players = seat(self.model, experiment.optimizers)
        self.average = Average(self.model, self.settings.ema) if self.settings.ema else None
        self.rng = randomness.generator(seed, "noise", device=device)
        self.step = 0
        self.seconds = 0.0
        self.best: dict[str, Any] | None = None  # metric, value and step of the best checkpoint, if any is measured
        self.total_steps = self.settings.steps or self.settings.epochs * self.dealer.steps_per_epoch
        with randomness.preserved():
            randomness.seed_global(randomness.derive(seed, "global"))
            self._global = randomness.global_state()

    def play(self, step: int, real: Batch, ledger: Ledger) -> None:
        """Play one step: every turn that is due moves its player once, on its own parameters and no others."""
        turns = [turn for turn in self.turns if step % turn.every == 0]
        now = self.loss.begin(self.model, real, {turn.player for turn in turns}, self.rng)
        for number, turn in enumerate(turns, start=1):
            player = self.players[turn.player]
            terms = turn.objective(self.model, real, now)
            for parameter in player.parameters:
                parameter.grad = None
            # Only the mover's parameters get gradients; the graph stays for the turns that share what began the step.
            _sum(terms.loss).backward(inputs=player.parameters, retain_graph=number < len(turns))
            player.optimizer.step()
            ledger.note(step, terms.loss, "loss/")
            ledger.note(step, terms.watch)
        if self.average:
            self.average.update()

    def run(self, directory: RunDirectory, observers: Observers) -> None:
        """Train to the end, from wherever it stands, and leave everything in the run directory.

        Raises:
            GanzooError: a loss is not finite, the disk is full; the message says from where to go on.
            Interrupted: SIGINT or SIGTERM came; the step was finished and saved.
        """
        info = self._info(directory)
        ending = ("failed", "")
        with randomness.preserved(), _deterministic(self.experiment.device), collected() as signals:
            try:
                observers.tell("ganzoo_run_started", run=info)
                randomness.set_global_state(*self._global)
                directory.write_record(info, "running", "", self.step, self.seconds)
                self._train(directory, observers, info, signals)
                ending = ("finished", "")
            except Interrupted as stop:
                ending = ("interrupted", str(stop))
                raise
            except NonFinite as error:
                ending = ("failed", f"{error}.")
                raise GanzooError(
                    f"Training stopped: {error}. {self._where_saved(directory)} A lower learning rate "
                    "(--set optimizer.lr=...) or another loss may help; the run so far is kept."
                ) from error
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
                with _forgiving(ending[0]):
                    directory.write_record(info, *ending, self.step, self.seconds)
                observers.tell("ganzoo_run_ended", run=info, state=ending[0], reason=ending[1])

    def _train(self, directory: RunDirectory, observers: Observers, info: RunInfo, signals: list[int]) -> None:
        settings, per_epoch, end = self.settings, self.dealer.steps_per_epoch, self.total_steps
        ledger = Ledger()
        fixed = self.fixed()
        if self.step == 0:
            self._show(directory, observers, info, fixed, first=True)
        marked_step, marked_time, before = self.step, time.perf_counter(), self.seconds
        began, due = marked_time, self._next_due()

        batches = islice(self.dealer.batches(self.step), end - self.step)
        for step, real in enumerate(batches, start=self.step + 1):
            self.play(step, real, ledger)
            self.step = step
            if step < due and not signals:
                continue

            # Something is due: a tick always, pictures at the end of an epoch, a checkpoint now and then.
            stopping = bool(signals)  # asked once: a signal that comes from here on stops the next step
            scalars = ledger.settle()
            now = time.perf_counter()
            self.seconds = before + now - began
            speed = (step - marked_step) * settings.batch_size / (now - marked_time)
            improved = self._evaluate(directory, scalars) if self._evaluation_is_due() else False
            tick = Tick(step, step / per_epoch, step % per_epoch == 0, self.seconds, speed, scalars)
            directory.write_metrics(tick)
            observers.tell("ganzoo_tick", run=info, tick=tick)
            if step == end or (tick.ends_epoch and (step // per_epoch) % settings.sample_every == 0):
                self._show(directory, observers, info, fixed)
            if step % settings.checkpoint_every == 0 or step == end or stopping or improved:
                self._save(directory, observers, info)
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

    # --- evaluation -------------------------------------------------------------------------------------------------

    def _evaluation_is_due(self) -> bool:
        every = self.settings.evaluate_every
        return bool(every) and (self.step % every == 0 or self.step == self.total_steps)

    def _evaluate(self, directory: RunDirectory, scalars: dict[str, float]) -> bool:
        """Measure the model as it would be sampled from, add the numbers to the tick's scalars and to the cards, and
        return whether the first of them is the best so far. The training notices nothing of it."""
        evaluator = self.experiment.evaluator
        assert evaluator
        with self._as_sampled():
            results = evaluator.measure(self.model)
        settings, recipe = self.settings, self.experiment.recipe
        directory.write_cards(
            cards.make(
                results,
                evaluator,
                recipe.data,
                checkpoint="training",
                step=self.step,
                n=settings.evaluate_samples,
                seed=settings.seed,
                device=str(self.experiment.device),
            )
        )
        scalars.update({f"metric/{result.name}": result.score.value for result in results})
        headline = results[0]
        before = self.best["value"] if self.best and self.best["metric"] == headline.name else None
        value = headline.score.value
        if before is not None and not (value > before if headline.score.better == "higher" else value < before):
            return False
        self.best = {"metric": headline.name, "value": value, "step": self.step}
        return True

    # --- pictures ---------------------------------------------------------------------------------------------------

    def fixed(self) -> Batch:
        """Return the real batch and the latents that every picture of this run is made from."""
        real = self.dealer.some(self.settings.sample_count)
        rng = randomness.generator(self.settings.seed, "pictures", device=self.experiment.device)
        return {**real, **self.model.latent(len(real[self.model.target]), rng)}

    def _show(
        self, directory: RunDirectory, observers: Observers, info: RunInfo, fixed: Batch, first: bool = False
    ) -> None:
        """Draw what the model previews, where that is images: a PNG each, and the same for observers."""
        previews = {name: value for name, value in self.preview(fixed).items() if images.drawable(value)}
        if not previews:
            return
        directory.samples.mkdir(exist_ok=True)
        for name, value in previews.items():
            if name != "real" or first:
                images.save(images.grid(value), directory.picture(name, self.step))
        observers.tell("ganzoo_samples", run=info, step=self.step, images=previews)

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        """Return what the model previews, on the host, from the averaged weights where an average is kept."""
        with self._as_sampled():
            return {name: value.detach().float().cpu() for name, value in self.model.preview(fixed).items()}

    @contextmanager
    def _as_sampled(self) -> Iterator[None]:
        """Within the block the model is as it would be sampled from: in eval mode, without gradients, with averaged
        weights where an average is kept; afterwards all is as before, the global random states too."""
        self.model.eval()
        try:
            with randomness.preserved(), torch.no_grad(), self.average.applied() if self.average else nullcontext():
                yield
        finally:
            self.model.train()

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def _save(self, directory: RunDirectory, observers: Observers, info: RunInfo) -> None:
        for name, value in self.model.state_dict().items():
            if value.is_floating_point() and not value.isfinite().all():
                raise NonFinite(f"the weight {name}", self.step, float("nan"))
        tensors, rest = randomness.global_state()
        trees = {f"optimizer.{name}": player.optimizer.state_dict() for name, player in self.players.items()}
        trees |= {"loss": self.loss.state_dict(), "rng": {**tensors, "noise": self.rng.get_state()}}
        training, structure = checkpoint.pack(trees)
        path = checkpoint.save(
            directory.checkpoints,
            Checkpoint(
                step=self.step,
                weights=checkpoint.on_host(self.model.state_dict()),
                average=checkpoint.on_host(self.average.tensors) if self.average else {},
                training=training,
                rest={
                    "settings": self._identity(),
                    "fields": {name: field.plain() for name, field in self.experiment.data.fields.items()},
                    "seconds": self.seconds,
                    "best": self.best,
                    "random": rest,
                    "structure": structure,
                },
            ),
            self.settings.keep,
            spare=self.best["step"] if self.best else None,
        )
        directory.write_record(info, "running", "", self.step, self.seconds)
        observers.tell("ganzoo_checkpoint_saved", run=info, step=self.step, path=path)

    def restore(self, saved: Checkpoint) -> None:
        """Put everything where the checkpoint stands, to the bit.

        Raises:
            UsageError: recipe.toml was changed since in what a resume cannot change.
            GanzooError: the checkpoint does not fit.
        """
        for name, value in self._identity().items():
            trained = saved.rest.get("settings", {}).get(name, {})
            if any(
                value.get(key) != setting for key, setting in trained.items()
            ):  # a newer ganzoo may know more of them
                raise UsageError(
                    f"The run was trained with other settings of {name!r} than recipe.toml has now. Put them back "
                    f"({trained}), or train anew: ganzoo run DIR/recipe.toml."
                )
        try:
            state = checkpoint.unpack(saved.training, saved.rest["structure"])
            self.model.load_state_dict(saved.weights)
            self.loss.load_state_dict(state["loss"])
            for name, player in self.players.items():
                player.optimizer.load_state_dict(state[f"optimizer.{name}"])
            if self.average:
                for key, tensor in self.average.tensors.items():
                    tensor.copy_(saved.average[key])
            self.rng.set_state(state["rng"].pop("noise"))
            self._global = (state["rng"], saved.rest["random"])
            self.step, self.seconds, self.best = saved.step, saved.rest["seconds"], saved.rest["best"]
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise GanzooError(f"The checkpoint of step {saved.step} does not fit this recipe: {error}.") from error

    def _identity(self) -> dict[str, Any]:
        """Return the settings that make the run what it is: with others, a checkpoint is not this run's."""
        recipe = self.experiment.recipe
        parts = {kind: {"name": part.name, **part.settings} for kind in PARTS for part in (getattr(recipe, kind),)}
        train = {key: recipe.train[key] for key in ("batch_size", "seed", "ema")}
        return {**parts, "optimizer": dict(recipe.optimizer), "train": train}

    def _info(self, directory: RunDirectory) -> RunInfo:
        return RunInfo(
            directory=directory.path,
            recipe=self.experiment.recipe,
            device=str(self.experiment.device),
            examples=len(self.experiment.data),
            parameters={name: sum(p.numel() for p in player.parameters) for name, player in self.players.items()},
            batch_size=self.settings.batch_size,
            steps_per_epoch=self.dealer.steps_per_epoch,
            total_steps=self.total_steps,
            start_step=self.step,
        )

    def _where_saved(self, directory: RunDirectory) -> str:
        newest = next(checkpoint.saved(directory.checkpoints), None)
        return f"The newest checkpoint is {newest}." if newest else "No checkpoint had been saved yet."


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    first, *others = terms.values()
    for term in others:
        first = first + term
    return first


def _deterministic(device: torch.device) -> AbstractContextManager[None]:
    """Have cuDNN choose algorithms that give the same bits each time; other devices do so anyway."""
    if device.type == "cuda":
        return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    return nullcontext()


@contextmanager
def _forgiving(state: str) -> Iterator[None]:
    """Where a run has failed already, let the record of it fail quietly: the first error is the one to show."""
    try:
        yield
    except OSError:
        if state != "failed":
            raise
