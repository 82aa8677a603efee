"""Settings of what several machines have in common."""

from pydantic import BaseModel, Field

from movierec_serving.bundle.objects import Address


class StoreSettings(BaseModel):
    """The bucket of files that arrive, and how versions are cut in the common store."""

    landing_bucket: Address | None = Field(
        default=None,
        description="where daily files arrive if not in `warehouse/landing` itself, as "
        "`s3://bucket/folder`, `gs://…` or `az://…`; they are brought from there every minute",
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="number of parts that versions in `MOVIEREC_STORE` are cut into, by users, for "
        "endpoints with `MOVIEREC_SHARD`; 1: they are not cut",
    )
