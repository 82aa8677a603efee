"""`python -m movierec_serving`: the endpoint, by the settings; `--host` and `--port` override
them.

What has to be in the environment before a library is imported is put there here.
"""

import argparse
import os
import signal
import sys
import tempfile
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from movierec_serving.settings import ServingSettings


def main() -> None:
    # Until the server handles it: no traceback while it loads.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Read once, by NumPy's import: processes share the cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    settings = _settings()

    from movierec_serving import slots
    from movierec_serving.errors import MovierecError

    os.environ.pop(slots.DIRECTORY, None)
    # The main process counts, too; LitServe's manager does not.
    processes = 1 + settings.serving_api_processes + settings.serving_workers
    with ExitStack() as stack:
        directory = stack.enter_context(slots.allocated(processes))
        if directory is not None:
            os.environ[slots.DIRECTORY] = str(directory)
        with suppress(OSError):
            # The manager's socket goes here: were it in a temporary folder that vanishes, no new
            # process would find it.
            tempfile.tempdir = str(stack.enter_context(slots.folder(slots.MEMORY)))
        from movierec_serving.runtime.server import serve

        try:
            serve(settings)
        except MovierecError as error:
            sys.exit(str(error))


def _settings() -> "ServingSettings":
    """From the command line, the environment and `.env`; the process ends if one is wrong."""
    from pydantic import ValidationError

    from movierec_serving.common_settings import faults
    from movierec_serving.settings import ServingSettings

    parser = argparse.ArgumentParser(
        prog="python -m movierec_serving", description="Serve recommendations."
    )
    parser.add_argument("--host", help="127.0.0.1, 0.0.0.0 or ::")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    given = {"serving_host": options.host, "serving_port": options.port}
    try:
        return ServingSettings(
            **{name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as error:
        sys.exit("settings: " + "; ".join(faults(error)))


if __name__ == "__main__":
    main()
