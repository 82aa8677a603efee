"""What the settings say of lists reaches the published version."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from movierec_assets.platform import Platform
from movierec_assets.settings import Settings
from movierec_serving.bundle import Ranking
from tests.support import sample_models


def published_ranking(home: Path, **chosen: float) -> Ranking:
    models = Platform.of(Settings(_env_file=None, home=home, **chosen)).published_models
    sample_models.write(home / "bundle")
    models.publish(home / "bundle", 1, {})
    return models.open(1).ranking


def test_lists_are_made_as_the_settings_say(tmp_path: Path) -> None:
    ranking = published_ranking(tmp_path, popularity_correction=0.2, calibration=0.1)
    assert ranking == Ranking(popularity_correction=0.2, calibration=0.1)


def test_nothing_is_done_to_scores_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert published_ranking(tmp_path) == Ranking()


def test_a_calibration_that_ignores_the_scores_is_refused() -> None:
    with pytest.raises(ValidationError, match="less than 1"):
        Settings(_env_file=None, calibration=1.0)
