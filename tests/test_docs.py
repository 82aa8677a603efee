"""The documents are complete and true: what the code has, a page names."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic_settings import BaseSettings
from typer.main import get_command

from docs.generated.http import METHODS, openapi
from docs.generated.meanings import has_meaning
from docs.hooks import OUTSIDE, filled, link_words, words
from movierec_assets.cli.app import app
from movierec_assets.evaluation.metrics import USER_METRICS
from movierec_assets.meanings import meanings_of
from movierec_assets.resources.warehouse.duckdb_file import columns
from movierec_assets.settings import Settings, settings
from movierec_serving.settings import ServingSettings
from tests.conftest import Platform

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
INDEXES = ("--index-url", "--extra-index-url", "--find-links", "/simple/", "pythonhosted")


@cache
def page(name: str) -> str:
    """A page of the reference, as it is built."""
    return filled((DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8"))


def without_heading(names: list[str], reference: str) -> list[str]:
    headings = re.findall(r"^### `(.+)`$", page(reference), re.M)
    return sorted(set(names) - set(headings))


def setting_models() -> Iterator[type[BaseSettings]]:
    for package in ("movierec_assets", "movierec_serving"):
        module = import_module(f"{package}.settings")
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                assert issubclass(value, BaseSettings), value
                yield value


def test_every_setting_has_a_heading() -> None:
    names = []
    for model in setting_models():
        for name, field in model.model_fields.items():
            alias = field.validation_alias
            names.append(alias if isinstance(alias, str) else f"MOVIEREC_{name.upper()}")
            assert field.description, f"{name} has no description"
    assert len(names) > 20
    assert without_heading(names, "settings") == []


def test_a_setting_that_both_programs_have_is_one() -> None:
    pipeline, endpoint = Settings.model_fields, ServingSettings.model_fields
    both = pipeline.keys() & endpoint.keys() - {
        "home"
    }  # which the endpoint is also told by Dagster
    assert both >= {"serving_port", "reload_token", "object_store"}
    for name in both:
        ours, theirs = pipeline[name], endpoint[name]
        for part in ("annotation", "default", "metadata", "validation_alias", "description"):
            assert getattr(ours, part) == getattr(theirs, part), f"{name}: {part}"


def test_a_settings_default_and_limits_are_named() -> None:
    section = page("settings").split("### `MOVIEREC_FACTORS`")[1].split("###")[0]
    assert "Default: `64`. Accepts a whole number from 1 to 1024." in section


def test_every_command_has_a_heading_and_a_meaning() -> None:
    def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        for child, subcommand in getattr(command, "commands", {}).items():
            yield from leaves(subcommand, f"{name} {child}")
        if not hasattr(command, "commands"):
            yield name, command

    commands = dict(leaves(get_command(app), "movierec"))
    assert {"movierec up", "movierec status"} <= set(commands)
    assert without_heading(list(commands), "commands") == []
    for name, command in commands.items():
        assert command.help, name
        assert [given.name for given in command.params if not getattr(given, "help", "")] == [], (
            name
        )


def command_lines() -> Iterator[tuple[str, str]]:
    """Each `movierec …` with an argument or an option that a document tells somebody to type."""
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    for path in (*pages, *DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"(?:`|^ {4}.*)\bmovierec ([a-z][^`\n]*)", text, re.M):
            yield path.name, line


@pytest.mark.parametrize(("name", "line"), dict.fromkeys(command_lines()))
def test_a_command_line_in_the_documents_is_one(name: str, line: str) -> None:
    commands = getattr(get_command(app), "commands", {})
    file = shlex.quote(str(DOCS / "index.md"))
    there = re.sub(r"/backups/\S+|FILE", lambda _: file, line)
    words = re.sub(r"\b[A-Z][A-Z_]+\b", "12", there)  # a word in capitals stands for a value
    command, *given = shlex.split(words, comments=True)
    assert command in commands, name
    if given and "--help" not in given:  # else it is named, and not typed
        typed = commands[command].make_context(command, given).params
        assert command != "forget" or typed["resume"] or typed["reason"], name


def test_every_route_has_a_heading_and_a_summary() -> None:
    names = []
    for path, operations in openapi()["paths"].items():
        for method in METHODS:
            if method in operations:
                names.append(f"{method.upper()} {path}")
                assert operations[method].get("summary"), names[-1]
    assert "GET /recommend/{user_id}" in names
    assert without_heading(names, "http") == []


def test_a_proxy_hands_on_what_applications_ask_for_and_nothing_else() -> None:
    asked, inside = set(), set()
    for path, operations in openapi()["paths"].items():
        for operation in operations.values():
            with_key = {"APIKeyHeader": []} in operation.get("security", [])
            (asked if with_key else inside).add(path.split("/")[1])
    how_to = (DOCS / "how-to" / "run-behind-a-proxy.md").read_text(encoding="utf-8")
    template = (ROOT / "deploy/nginx/movierec.conf.template").read_text(encoding="utf-8")
    for text in (how_to, template):
        location = re.search(r"location ~ \^/\(([a-z|]+)\)", text)
        assert location
        assert set(location[1].split("|")) == asked
    handed_on, _, kept = how_to.partition("2. Hand on")[2].partition("3. ")[0].partition("Keep")
    assert set(re.findall(r"`/(\w+)`", handed_on)) == asked
    assert set(re.findall(r"`/(\w+)`", kept)) == inside


def test_every_table_and_column_has_a_meaning() -> None:
    assert {"chunks", "raw_ratings", "superseded_ratings"} <= set(columns())
    assert without_heading(list(columns()), "tables") == []
    assert set(meanings_of("tables")) == set(columns())
    meant = {name: set(meanings) for name, meanings in meanings_of("columns").items()}
    assert meant == {name: {column for column, _ in kinds} for name, kinds in columns().items()}


def test_every_metric_of_lists_has_a_meaning() -> None:
    assert USER_METRICS.keys() <= meanings_of("figures").keys()


def test_every_metric_has_a_heading() -> None:
    import_module("movierec_serving.metrics")
    names = [
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in REGISTRY.collect()
        if metric.name.startswith("movierec_")
    ]
    assert len(names) > 4
    assert without_heading(names, "metrics") == []


def test_every_room_of_the_code_has_a_row() -> None:
    rooms = (DOCS / "explanation" / "rooms.md").read_text(encoding="utf-8")
    folders = [path.parent.relative_to(ROOT) for path in ROOT.glob("movierec_*/*/__init__.py")]
    assert len(folders) > 15
    assert [folder for folder in folders if f"| `{folder}/` |" not in rooms] == []


def test_every_error_has_a_heading() -> None:
    names = re.findall(
        r"^class (\w+)", (ROOT / "movierec_serving" / "errors.py").read_text("utf-8"), re.M
    )
    assert "BundleError" in names
    assert without_heading(names, "errors") == []


def test_what_a_run_writes_has_a_meaning(platform: Platform) -> None:
    platform.deliver("1997-09-20", "1997-09-21", ratings=1500)
    assert platform.run("-", job="catalogue").success
    assert platform.run("1997-09-20", "1997-09-21").success
    assets = (
        "collected_events",
        "raw_ratings",
        "movies",
        "validated_ratings",
        "als_model",
        "registered_model",
    )
    for asset in (
        *assets,
        "gate_verdict",
        "production_model",
        "prequential_evaluation",
        "recommendation_log",
    ):
        written = {entry for event in platform.events(asset) for entry in event.metadata}
        assert written, asset
        assert sorted(entry for entry in written if not has_meaning(asset, entry)) == [], asset
    written = {tag for version in platform.model_registry.versions() for tag in version.tags}
    assert {"identity", "gate", "status"} <= written <= set(meanings_of("tags"))


def test_the_first_use_of_a_word_links_to_the_glossary() -> None:
    page = "# Chunks\n\nA `chunk`, two [chunks](x.md), Chunks and families.\n\n    chunk\n\nchunk"
    linked = link_words(page, {"chunk": "chunk", "family": "family"}, "../glossary.md")
    assert linked == (
        "# Chunks\n\nA `chunk`, two [chunks](x.md), [Chunks](../glossary.md#chunk) and "
        "[families](../glossary.md#family).\n\n    chunk\n\nchunk"
    )


def test_the_glossary_is_in_order() -> None:
    assert {"chunk", "ndcg@10", "blas kernel"} <= set(words())
    assert list(words()) == sorted(words())


@pytest.mark.parametrize(
    ("html", "refused"),
    [
        ('<script src="https://cdn.example/x.js">', True),
        ('<link rel="stylesheet" href=https://fonts.example/css>', True),
        ('<script src="assets/x.js">', False),
        ('<a href="https://dagster.io">', False),
    ],
)
def test_a_page_that_loads_from_the_internet_is_refused(html: str, refused: bool) -> None:
    assert bool(OUTSIDE.search(html)) is refused


def local_links(text: str) -> list[str]:
    return [
        target.partition("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in target and not target.startswith("#")
    ]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_the_files_that_a_document_links_to_exist(name: str) -> None:
    for target in local_links((ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), f"{name} links to {target}"


def test_the_readme_is_short_and_says_where_to_read_on() -> None:
    assert README.count("\n") <= 150
    assert {"docs/tutorial.md", "CONTRIBUTING.md", "SECURITY.md"} <= set(local_links(README))


def test_nothing_names_a_package_index() -> None:
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "*.md", "*.toml", "*.yml", "*.lock", "Makefile"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split("\n")
    names = [name for name in tracked if name] or ["README.md", "Makefile", "requirements.lock"]
    for name in names:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert [word for word in INDEXES if word in text] == [], name


# Assets without a table of their own: they are versions, and decisions on them, in MLflow.
WITHOUT_TABLE = {
    *("collected_events", "registered_model", "gate_verdict", "production_model"),
    "experiment_arms",
}
# Their columns come from outside: delivered files, and what endpoints have written down.
FROM_OUTSIDE = {"raw_ratings", "movies", "recommendation_log"}


def test_the_catalogue_says_of_each_asset_what_it_is_and_what_its_columns_mean(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_ALSO_TRAIN", "ease")
    settings.cache_clear()
    specs = {spec.key: spec for spec in platform.definitions.resolve_all_asset_specs()}
    schemas, lineage = {}, {}
    for key, spec in specs.items():
        name = key.to_user_string()
        assert spec.description, name
        assert spec.owners, name
        assert spec.kinds, name
        assert {"movierec/stage"} <= spec.tags.keys(), name
        if "dagster/column_schema" in spec.metadata:
            schemas[name] = spec.metadata["dagster/column_schema"].columns
            meant = [column.name for column in schemas[name] if not column.description]
            assert meant == [], f"{name}: {meant} have no meaning in meanings.toml"
        if "dagster/column_lineage" in spec.metadata:
            lineage[name] = spec.metadata["dagster/column_lineage"].deps_by_column
    names = {key.to_user_string() for key in specs}
    assert names - schemas.keys() == WITHOUT_TABLE
    assert names - lineage.keys() - WITHOUT_TABLE == FROM_OUTSIDE
    columns_of = {name: {column.name for column in schema} for name, schema in schemas.items()}
    for name, made_of in lineage.items():
        assert made_of.keys() <= columns_of[name], name
        for deps in made_of.values():
            for dep in deps:
                assert dep.column_name in columns_of[dep.asset_key.to_user_string()], (name, dep)


def test_all_that_runs_has_a_description_and_an_owner(platform: Platform) -> None:
    repository = platform.definitions.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    all_that_runs = [*jobs, *repository.schedule_defs, *repository.sensor_defs]
    assert [each.name for each in all_that_runs if not each.description] == []
    # A sensor on failed runs takes no owners.
    assert [each.name for each in all_that_runs if not each.owners] == ["after_failure"]


def test_a_checks_description_says_what_it_means_if_it_does_not_pass(platform: Platform) -> None:
    graph = platform.definitions.resolve_asset_graph()
    assert len(graph.asset_check_keys) > 7
    for check in graph.asset_check_keys:
        said = graph.get_check_spec(check).description or ""
        assert "failure" in said or "warning" in said, check
