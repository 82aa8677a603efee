"""Copies in the object store, sent by stages: a store that is away stops none of them."""

from collections.abc import Callable

import dagster as dg

from movierec_serving.bundle import StoreError


def share(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, send: Callable[[], int]
) -> None:
    """Send what the object store has not, once for all days of a run."""
    try:
        send()
    except StoreError as error:
        context.log.error(f"{error}; the next run sends what is not there")
