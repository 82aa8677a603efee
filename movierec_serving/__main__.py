"""`python -m movierec_serving`: the endpoint, by the settings; `--host` and `--port` override
them.
"""

import argparse
import os
import signal
import sys
import tempfile


def main() -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # until the server handles it: no traceback while it loads
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # read once, by NumPy's import: processes share the cores
    from pydantic import ValidationError

    from movierec_serving.settings import Settings

    parser = argparse.ArgumentParser(
        prog="python -m movierec_serving", description="Serve recommendations."
    )
    parser.add_argument("--host", help="127.0.0.1, 0.0.0.0 or ::")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    given = {"serving_host": options.host, "serving_port": options.port}
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = [
            f"MOVIEREC_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors()
        ]
        sys.exit("settings: " + "; ".join(wrong))
    with tempfile.TemporaryDirectory(prefix="movierec-metrics-") as counts:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts  # read once, by prometheus-client's import
        from movierec_serving.errors import PointerError
        from movierec_serving.runtime.server import serve

        try:
            serve(settings)
        except PointerError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
