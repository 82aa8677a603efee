"""Publishing a bundle: its lists are computed, and it is put beside the catalogue, as a version."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from movierec_serving.bundle import files
from movierec_serving.bundle.array_files import write_arrays
from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.catalogue import Movie
from movierec_serving.bundle.catalogue_writer import catalogue_of
from movierec_serving.bundle.everybody import Listed, ListsOf, in_this_process, written
from movierec_serving.bundle.manifest import MANIFEST
from movierec_serving.bundle.publication import (
    BLENDED,
    PLAIN,
    PUBLICATION,
    Publication,
    PublishedModel,
)
from movierec_serving.bundle.ranking import Ranking
from movierec_serving.bundle.thin import blended
from movierec_serving.errors import BundleError


def publish(
    bundle_path: Path,
    store: Path,
    version: int,
    movies: Mapping[str, Movie],
    ranking: Ranking = PLAIN,
    lists_of: ListsOf = in_this_process,
) -> Path:
    """Put the bundle into the store as `version`; a sound publication of it there is left
    untouched.

    Args:
        lists_of: where the lists are worked out.

    Raises:
        BundleError: the bundle is not sound, or the version belongs to another model.
    """
    if version < 1:
        raise ValueError(f"a version is at least 1, not {version}")
    bundle = Bundle.open(bundle_path, verify=True)
    identity = bundle.manifest.identity
    final = Path(store) / str(version)
    if (published := _sound_identity(Path(store), version)) is not None:
        if published != identity:
            raise BundleError(
                f"{final}: version {version} is the model {published}, not {identity}"
            )
        return final
    known = catalogue_of(bundle.item_ids, movies)
    arrays = dict(known.arrays())
    if (vectors := blended(bundle, known)) is not None:
        bundle, arrays[BLENDED] = replace(bundle, blended=vectors), vectors
    with (
        files.staged_directory(final) as staged,
        closing(lists_of(Listed.of(bundle, ranking, known))) as blocks,
    ):
        lists = written(staged, len(bundle.user_ids), blocks)
        for name in (*bundle.manifest.files, MANIFEST):
            files.link_file(Path(bundle_path) / name, staged / name)
        document = Publication(
            format_version=Publication.FORMATS[-1],
            version=version,
            identity=identity,
            genres=known.genre_names,
            columns=known.columns,
            ranking=ranking,
            files={**lists, **write_arrays(staged, arrays)},
        )
        files.write_file(staged / PUBLICATION, document.to_json().encode())
    return final


def _sound_identity(store: Path, version: int) -> str | None:
    try:
        return PublishedModel.open(store, version, verify=True).bundle.manifest.identity
    except BundleError:
        return None
