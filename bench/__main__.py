"""`python -m bench [name]`: one benchmark, or all; `--list` names them."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time

import bench


def names() -> list[str]:
    """The modules of this package that have a `main`."""
    found = [module.name for module in pkgutil.iter_modules(bench.__path__) if module.name != "__main__"]
    return [name for name in found if hasattr(importlib.import_module(f"bench.{name}"), "main")]


def main(arguments: list[str]) -> int:
    known = names()
    if unknown := [name for name in arguments if name not in known]:
        if arguments != ["--list"]:
            print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
            return 2
        print("\n".join(known))
        return 0
    for name in arguments or known:
        started = time.perf_counter()
        print(f"## {name}\n", flush=True)
        importlib.import_module(f"bench.{name}").main()
        print(f"\n{name}: {time.perf_counter() - started:.0f} s\n", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
