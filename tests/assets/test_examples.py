"""The notebooks do what they say, on a home of three days; they are committed without outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from movierec_assets.cli.renewal import renewal
from movierec_assets.settings import settings
from tests.conftest import ROOT, Platform

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def cells(notebook: Path) -> list[dict[str, Any]]:
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(notebook: Path) -> None:
    assert [one for one in cells(notebook) if one["outputs"] or one["execution_count"]] == []


def test_a_variant_is_put_to_the_gate_and_a_setting_says_that_it_begins_anew(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    mpl.use("Agg")
    platform.deliver("1997-09-20", "1997-09-21", "1997-09-22", ratings=1500)
    assert platform.run("-", job="catalogue").success
    assert platform.run("1997-09-20", "1997-09-22").success
    before = platform.model_registry.versions()
    names: dict[str, Any] = {}
    for cell in cells(ROOT / "examples" / "a-variant-at-the-gate.ipynb"):
        exec("".join(cell["source"]), names)  # noqa: S102 - as a notebook's server does
    assert names["verdict"].decision in ("passed", "refused", "insufficient_data")
    assert names["verdict"].reason
    assert len(names["days"]) == 3
    assert platform.model_registry.versions() == before
    assert renewal(platform.wired) == ""
    monkeypatch.setenv("MOVIEREC_FACTORS", "32")
    settings.cache_clear()
    begins = "the next model begins anew: factors 64 → 32; days that are trained stay as they are"
    assert renewal(platform.wired) == begins
