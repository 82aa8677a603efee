"""`make demo`: plays the story, and says in a sentence what stopped it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from demo.anew import DemoError
from demo.story import demo
from movierec_assets.cli.processes import MLFLOW_SETTINGS

if __name__ == "__main__":
    os.environ.update({**MLFLOW_SETTINGS, **os.environ})  # read once, by MLflow's import
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)  # so that what was started is stopped
    try:
        demo(Path.cwd())
    except DemoError as error:
        raise SystemExit(f"demo: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("demo: stopped, and all that it had started") from None
