"""`movierec metrics`: the pipeline's state for Prometheus, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from typing import Annotated

import typer


def metrics_command(
    port: Annotated[
        int | None, typer.Option(min=1024, max=65535, help="port to listen on; else the setting")
    ] = None,
    host: Annotated[
        str, typer.Option(help="interface to listen on; loopback unless told otherwise")
    ] = "127.0.0.1",
    max_age: Annotated[
        float, typer.Option(min=0, help="seconds for which what was read of a store is said again")
    ] = 15.0,
) -> None:
    """Serve the pipeline's metrics for Prometheus, read from the stores; `up` starts it, too."""
    import dagster as dg

    from movierec_assets.cli.setup import load_env
    from movierec_assets.exporting.exporter import exporter_registry, serve
    from movierec_assets.platform import wired

    # A connection that MLflow kept would go on reading a file that was moved away.
    os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    load_env()
    platform, ended = wired(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    own_port = port if port is not None else platform.settings.metrics_port
    with dg.DagsterInstance.get() as instance:
        try:
            stop = serve(exporter_registry(platform, instance, max_age), host, own_port)
        except OSError as error:
            typer.echo(f"metrics: port {own_port}: {error.strerror}", err=True)
            raise typer.Exit(1) from error
        typer.echo(f"http://{host}:{own_port}/metrics")
        ended.wait()
        stop()
