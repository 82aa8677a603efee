"""Whether the next model is another one than a continuation of the last: said before it trains.

Code and models are delivered apart. A new version of the program, or a new setting, that changes
what a model is must not come as a surprise in the morning.
"""

from __future__ import annotations

from movierec_assets.defs.shared.recipes import recipes
from movierec_assets.platform import Platform
from movierec_assets.training.plan import changes
from movierec_serving.bundle import Bundle, BundleError


def renewal(platform: Platform) -> str:
    """What the next day's training changes, in a sentence; empty if it goes on as before, or there
    is no model to compare with.
    """
    models = [model for model in platform.warehouse.models().values() if model.identity]
    if not models:
        return ""
    newest = max(models, key=lambda model: model.day)
    try:
        manifest = Bundle.open(platform.bundle_store.served(newest.identity or "")).manifest
    except BundleError:  # lost or damaged, which `status` says by itself
        return ""
    arm = platform.warehouse.arm
    recipe = recipes(arm, platform.settings, platform.warehouse)(newest.day)
    changed = changes(recipe, manifest)
    if not changed:
        return ""
    return (
        f"the next model begins anew: {', '.join(changed)}; days that are trained stay as they are"
    )
