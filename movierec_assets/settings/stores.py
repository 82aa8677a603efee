"""Settings of what several machines have in common."""

from pydantic import BaseModel, Field

from movierec_serving.bundle.objects import Address


class StoreSettings(BaseModel):
    """Object stores: of versions and chunks, and of files that arrive."""

    object_store: Address | None = Field(
        default=None,
        validation_alias="MOVIEREC_STORE",
        description="object store that pipeline and endpoints of several machines have in common, "
        "as `s3://bucket/folder`, `gs://…`, `az://…`, or a folder that all of them mount; "
        "the pipeline keeps copies of its models there, too, and of what it cannot make again; "
        "credentials are in the variables of its vendor, such as `AWS_ACCESS_KEY_ID`; empty: the "
        "warehouse of this machine is all there is",
    )
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
