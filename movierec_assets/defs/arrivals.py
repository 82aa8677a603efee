"""The sensor on a bucket in which files arrive. It brings them into the landing zone; who trains on
them is asked as for every other file.
"""

import dagster as dg

from movierec_assets.defs.shared.header import OWNERS
from movierec_assets.platform import Platform
from movierec_assets.resources.stores.landing_bucket import LandingBucket
from movierec_serving.bundle.objects import Objects


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="New and changed files of the bucket that MOVIEREC_LANDING_BUCKET names, brought "
    "into the landing zone. It does nothing while there is none.",
    owners=OWNERS,
)
def landing_bucket_watch(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SkipReason:
    """Raises LandingBucketError if some files could not be brought; the next tick tries again."""
    settings = platform.settings
    if settings.landing_bucket is None:
        return dg.SkipReason("MOVIEREC_LANDING_BUCKET is not set")
    bucket = LandingBucket(
        Objects(settings.landing_bucket),
        platform.landing_zone,
        settings.warehouse / "taken" / "bucket.json",
        settings.max_chunk_mb << 20,
    )
    brought = bucket.bring()
    for said in brought.odd:
        context.log.warning(said)
    if brought.files:
        context.log.info("brought %s", ", ".join(brought.files))
    return dg.SkipReason(f"{len(brought.files)} files were brought")
