"""One tree of errors, with one root and one naming rule."""

import inspect

from movierec_serving import errors
from movierec_serving.errors import MovierecError


def test_every_error_has_the_root_and_its_own_name_on_the_page() -> None:
    """A second base, ValueError say, would let `except ValueError` swallow what was foreseen."""
    tree = dict(inspect.getmembers(errors, inspect.isclass))
    assert len(tree) >= 7
    for name, error in tree.items():
        assert name.endswith("Error")
        (base,) = error.__bases__
        assert base is Exception if error is MovierecError else base.__name__ in tree
        assert f"{name} " in errors.__doc__ or error is MovierecError


def test_no_error_of_the_endpoint_is_defined_elsewhere() -> None:
    import importlib
    import pkgutil

    import movierec_serving

    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages(movierec_serving.__path__, "movierec_serving.")
        if not info.name.endswith("__main__")
    ]
    defined = {
        each
        for module in modules
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Exception) and each.__module__.startswith("movierec_serving")
    }
    assert {each.__module__ for each in defined} == {"movierec_serving.errors"}
