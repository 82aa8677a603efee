"""What is asked of an arm's training on a day."""

from collections.abc import Callable

from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_assets.training.plan import Recipe
from movierec_assets.training.trainers import TRAINERS


def recipes(arm: str, settings: Settings, warehouse: Warehouse) -> Callable[[str], Recipe]:
    """What is asked for on a day: the settings', or the parameters that a search found since."""
    own = settings.of_arm(arm)
    trainer = TRAINERS[own.model]
    base = trainer.parameters(own)
    tuned = warehouse.tuned(base, arm)

    def recipe(day: str) -> Recipe:
        parameters = next((tuned_to for since, tuned_to in tuned if since <= day), base)
        left_open = frozenset(name for name in trainer.by_size if parameters.get(name) is None)
        if left_open:
            ratings = warehouse.accepted_ratings(day, settings.window_days)
            parameters = trainer.sized(parameters, ratings)
        return Recipe(arm, trainer, parameters, settings.seed, left_open)

    return recipe
