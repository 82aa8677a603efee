"""Who delivers ratings: the sources of a landing zone, and what each declares."""

from pathlib import Path

import dagster as dg

from movierec_assets.ratings.declaration import Declaration, parse_declaration
from movierec_assets.ratings.file_names import is_source
from movierec_assets.ratings.ledger import DEFAULT_SOURCE
from movierec_serving.bundle.files import replace_file


class DeclaredSources(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The source `ratings`, which needs no declaration, and any other that has one,
    `sources/<source>.toml` beside the landing zone: who may drop files there cannot change what
    they mean.
    """

    path: str  # of the landing zone
    declarations: str | None = None  # the folder; None: `sources` beside the landing zone

    def sources(self) -> list[str]:
        """List the sources by name: the default one, then those that are declared."""
        declared = {file.stem for file in self.declared_in.glob("*.toml")}
        names = sorted(name for name in declared if is_source(name))
        return [DEFAULT_SOURCE, *(name for name in names if name != DEFAULT_SOURCE)]

    def declaration(self, source: str) -> Declaration | None:
        """What a source declares; None where it has no declaration.

        Raises:
            DeclarationError: the file cannot be understood.
        """
        file = self.declared_in / f"{source}.toml"
        return parse_declaration(file.read_bytes(), file.name) if file.is_file() else None

    def declare(self, source: str, text: str) -> None:
        """Declare a source that has no declaration."""
        file = self.declared_in / f"{source}.toml"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, text.encode())

    @property
    def declared_in(self) -> Path:
        """The folder of the sources' declarations."""
        return Path(self.declarations or Path(self.path).parent / "sources")
