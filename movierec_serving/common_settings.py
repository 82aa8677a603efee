"""Settings that pipeline and endpoint have in common, each said once."""

from pydantic import BaseModel, Field, SecretStr, ValidationError

from movierec_serving.bundle.objects import Address


class CommonSettings(BaseModel):
    """Where both meet: the endpoint's port, its token, and the stores of both."""

    serving_port: int = Field(default=8000, ge=1024, le=65535, description="port of the endpoint")
    reload_token: SecretStr | None = Field(
        default=None,
        description="token that `POST /reload`, `/blocklist` and `/experiment` ask for; set-up "
        "makes one; while it is empty, they refuse everybody",
    )
    object_store: Address | None = Field(
        default=None,
        validation_alias="MOVIEREC_STORE",
        description="object store that pipeline and endpoints of several machines have in common, "
        "as `s3://bucket/folder`, `gs://…`, `az://…`, or a folder that all of them mount; "
        "the pipeline keeps copies of its models there, too, and of what it cannot make again; "
        "credentials are in the variables of its vendor, such as `AWS_ACCESS_KEY_ID`; empty: the "
        "warehouse of this machine is all there is",
    )
    events_url: SecretStr | None = Field(
        default=None,
        description="`postgresql://` address of the store of events, for several endpoints; empty: "
        "SQLite in the warehouse",
    )

    @property
    def events_address(self) -> str | None:
        """PostgreSQL's, where events lie in it."""
        return self.events_url.get_secret_value() if self.events_url else None


def faults(error: ValidationError) -> list[str]:
    """What is wrong with settings, each by the name of its variable where it is one setting's."""
    said = []
    for problem in error.errors():
        if problem["type"] == "default_factory_not_called":  # which follows from another one
            continue
        fields = map(str, problem["loc"][:1])
        names = [name if name.isupper() else f"MOVIEREC_{name.upper()}" for name in fields]
        said.append(": ".join([*names, problem["msg"].removeprefix("Value error, ")]))
    return said
