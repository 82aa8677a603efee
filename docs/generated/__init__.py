"""The parts of the reference that come from the code, as Markdown, a file for each.

A page has prose of its own and a line `{{ settings }}`; `hooks.py` puts the part of that name
there. Each part is a function without arguments that asks the code what there is. So a part cannot
lack what the code has. What no code can say is in
`movierec_assets/meanings.toml`.
"""

from collections.abc import Callable, Mapping

from docs.generated.assets import assets, automation
from docs.generated.commands import commands
from docs.generated.entrance import entrance
from docs.generated.errors import errors
from docs.generated.http import bodies, routes
from docs.generated.meanings import figures, tags
from docs.generated.metrics import metrics, pipeline_metrics
from docs.generated.rules import rules
from docs.generated.settings import settings
from docs.generated.tables import tables

PARTS: Mapping[str, Callable[[], str]] = {
    "assets": assets,
    "automation": automation,
    "bodies": bodies,
    "commands": commands,
    "entrance": entrance,
    "errors": errors,
    "figures": figures,
    "metrics": metrics,
    "pipeline_metrics": pipeline_metrics,
    "routes": routes,
    "rules": rules,
    "settings": settings,
    "tables": tables,
    "tags": tags,
}
