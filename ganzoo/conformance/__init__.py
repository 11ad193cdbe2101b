"""The checks of the conformance kit, in the order in which they are made; ``ganzoo.testing`` calls them."""

from collections.abc import Callable

from ganzoo.conformance import making, playing
from ganzoo.conformance.bench import FIXED as FIXED
from ganzoo.conformance.bench import Bench as Bench
from ganzoo.conformance.bench import Problem as Problem
from ganzoo.conformance.bench import Skipped as Skipped

CHECKS: dict[str, Callable[[Bench], str]] = {
    check.__name__.replace("_", " "): check
    for check in (
        making.options_are_explained,
        making.latents_come_from_the_generator,
        making.samples_keep_their_promise,
        making.previews_can_be_looked_at,
        playing.only_the_mover_moves,
        playing.every_parameter_learns,
        playing.losses_stay_finite,
        playing.reruns_are_identical,
        playing.resumes_are_identical,
        making.weights_can_be_loaded,
        making.averages_are_complete,
        playing.judges_each_sample_alone,
        playing.any_batch_size,
        making.other_images,
        making.exports,
    )
}
"""Name -> check."""
