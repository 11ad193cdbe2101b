"""The checks of the conformance kit, in the order in which they are made."""

from collections.abc import Callable

from ganzoo.testing import model_checks, training_checks
from ganzoo.testing.harness import Harness

CHECKS: dict[str, Callable[[Harness], str]] = {
    check.__name__.replace("_", " "): check
    for check in (
        model_checks.options_are_explained,
        model_checks.optional_methods_are_spelled_right,
        model_checks.latents_depend_on_the_generator_only,
        model_checks.samples_are_valid,
        model_checks.previews_are_valid,
        model_checks.scores_have_a_row_per_sample,
        training_checks.moves_change_their_player_only,
        training_checks.every_parameter_learns,
        training_checks.losses_stay_finite,
        training_checks.reruns_are_identical,
        training_checks.resumes_are_identical,
        model_checks.weights_can_be_loaded,
        model_checks.averages_are_complete,
        training_checks.samples_are_scored_independently,
        training_checks.any_batch_size_works,
        model_checks.other_image_sizes_work,
        model_checks.the_generator_can_be_exported,
    )
}
"""Name -> check."""
