"""The driver's program of everybody's lists, of which an executor is killed at its first block.

Executors write into the folder that they run in: that one was killed, and where the others have
movierec from.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import movierec_serving
from movierec_serving.bundle.everybody import Common
from movierec_serving.bundle.layout import Arrays
from movierec_serving.bundle.ranking import Lists

KILLED, SOURCE = Path("killed.txt"), Path("source.txt")


class Deadly(Common):
    """What kills the first process that uses it."""

    __slots__ = ()

    def lists(self, own: Arrays) -> Lists:
        try:
            KILLED.touch(exist_ok=False)
        except FileExistsError:
            SOURCE.write_text(str(movierec_serving.__file__))
            return super().lists(own)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("is dead")


if __name__ == "__main__":
    from movierec_assets.training import spark, spark_lists
    from tests.support import dying_lists  # executors know it by this name

    spark_lists.Common = dying_lists.Deadly  # type: ignore[misc]
    spark.run_as_program(spark_lists.work_out, spark.kernels, spark.JAVA_OPTIONS)
