"""From a version, or an answer's id, back to the archived chunks."""

from __future__ import annotations

import hashlib

import pytest
from typer.testing import CliRunner

from movierec_assets.cli.app import app
from movierec_assets.cli.lineage import version_of
from movierec_assets.errors import LineageError
from movierec_serving.bundle import PublishedModel
from tests.conftest import Platform
from tests.support.generate import as_csv, days_from, ratings_of_day

DAYS = days_from("1998-03-30", 4)  # the third begins a month


@pytest.fixture
def trained(platform: Platform) -> Platform:
    """Four days trained; the first was delivered twice, and only the second delivery is current."""
    platform.deliver(DAYS[0], seed=1)
    platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    platform.deliver(*DAYS)
    assert platform.run("-", job="catalogue").success
    assert platform.run(DAYS[0], DAYS[-1]).success
    return platform


def lineage(*arguments: str) -> tuple[int, str]:
    """Exit code and output, on lines as wide as they want to be."""
    result = CliRunner().invoke(app, ["lineage", *arguments], env={"COLUMNS": "300"})
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("text", "number"), [("4", 4), ("v4", 4), ("4-7f3a9c", 4), ("12.abc", 12), ("12:u1", 12)]
)
def test_an_answers_id_begins_with_the_version(text: str, number: int) -> None:
    assert version_of(text) == number


@pytest.mark.parametrize("text", ["", "abc", "-4", "4a", "7f3a-9"])
def test_what_does_not_begin_with_a_version_is_refused(text: str) -> None:
    with pytest.raises(LineageError, match="recommendation id"):
        version_of(text)


def test_a_version_is_traced_to_the_delivered_files(trained: Platform) -> None:
    code, output = lineage("4-7f3a9c")
    assert code == 0
    for day in DAYS:
        sha256 = hashlib.sha256(as_csv(ratings_of_day(day))).hexdigest()
        assert f"{day}  {sha256}  there" in output
    assert hashlib.sha256(as_csv(ratings_of_day(DAYS[0], seed=1))).hexdigest() not in output
    versions = trained.model_registry.versions()
    assert versions[2].identity[:12] in output  # warm from the third
    assert versions[1].identity[:12] not in output  # which was cold, in a new month
    for name in ("regularization", "library implicit", "BLAS", "git_commit", "training code"):
        assert name in output
    assert "4 days, 0 of their chunks missing or altered" in output
    code, output = lineage("9")
    assert code == 1
    assert "there is no version 9" in output


def test_an_altered_or_lost_chunk_is_found(trained: Platform) -> None:
    first, second = (
        trained.chunk_archive.file(day, hashlib.sha256(as_csv(ratings_of_day(day))).hexdigest())
        for day in DAYS[:2]
    )
    first.write_bytes(b"user_id")
    assert lineage("4")[0] == 0
    code, output = lineage("4", "--rehash")
    assert code == 1
    assert f"1 of their chunks missing or altered: {DAYS[0]}" in output
    second.unlink()
    code, output = lineage("4")
    assert code == 1
    assert f"1 of their chunks missing or altered: {DAYS[1]}" in output


def test_what_a_version_recommends_is_what_its_published_model_answers(trained: Platform) -> None:
    trained.run("-", job="deploy")  # no endpoint runs: it is published all the same
    published = PublishedModel.open(trained.root / "models", 4)
    best = published.top_items[published.bundle.user_row("u1"), :10].tolist()
    code, output = lineage("4", "--user", "u1")
    assert code == 0
    places = [output.index(f" {published.bundle.item_id(item)} ") for item in best]
    assert places == sorted(places)
    assert "Amélie" in output
    code, output = lineage("4", "--user", "[/nobody]")
    assert code == 0
    assert "for user [/nobody]: " in output
    assert "popular" in output
