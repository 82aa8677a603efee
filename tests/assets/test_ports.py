"""The bundles, the registry and the notices are what their protocol says, so that another one can
take their place: mypy compares them, where they are given as such.
"""

from __future__ import annotations

import inspect
from typing import NamedTuple, get_type_hints

from movierec_assets import ports
from movierec_assets.platform import wired


class Adapters(NamedTuple):
    bundle_store: ports.Bundles
    model_registry: ports.Registry
    notifier: ports.Notices


def test_every_protocol_is_one_that_an_adapter_satisfies() -> None:
    home = wired()
    adapters = Adapters(home.bundle_store, home.model_registry, home.notifier)
    assert {*get_type_hints(Adapters).values()} == {
        port
        for _, port in inspect.getmembers(ports, inspect.isclass)
        if port.__module__ == ports.__name__
    }
    for name, port in get_type_hints(Adapters).items():
        methods = {each for each in vars(port) if not each.startswith("_")}
        assert methods <= {*dir(getattr(adapters, name))}
