"""`python -m bench [name]`: one benchmark, or all; `--list` names them."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time

import bench


def benchmarks() -> dict[str, str]:
    """The benchmarks by name, each with its module: a module below `bench` that has a `main`."""
    modules: dict[str, str] = {}
    for module in pkgutil.walk_packages(bench.__path__, "bench."):
        if not module.name.endswith("__main__") and hasattr(
            importlib.import_module(module.name), "main"
        ):
            modules[module.name.rpartition(".")[2]] = module.name
    return modules


def main(arguments: list[str]) -> int:
    known = benchmarks()
    if unknown := [name for name in arguments if name not in known]:
        if arguments != ["--list"]:
            print(
                f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr
            )
            return 2
        print("\n".join(known))
        return 0
    for name in arguments or known:
        started = time.perf_counter()
        print(f"## {name}\n", flush=True)
        importlib.import_module(known[name]).main()
        print(f"\n{name}: {time.perf_counter() - started:.0f} s\n", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
