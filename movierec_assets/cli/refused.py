"""How a command ends when the program refuses on purpose: one line and no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from movierec_assets.errors import MovierecError
from movierec_serving.errors import MovierecError as ServingError


@contextmanager
def refused(command: str, *others: type[Exception]) -> Iterator[None]:
    """Say the error of the block after the command's name, and exit with 1.

    Args:
        others: other errors that mean a refusal in this block.
    """
    meant: tuple[type[Exception], ...] = (MovierecError, ServingError, *others)
    try:
        yield
    except meant as error:
        typer.echo(f"{command}: {error}", err=True)
        raise typer.Exit(1) from error
