"""An empty landing zone; and a home that tests of losses, backups, prunes and erasures copy, since
it takes a while to make.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import dagster as dg
import pytest

from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.settings import settings
from tests.conftest import Platform, empty_home, settle
from tests.support.generate import as_csv, ratings_of_day
from tests.support.homes import DAYS, Home, state
from tests.support.once import made_once


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The second day was delivered twice; version 3 is pinned and published, 4 revoked."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            settle(empty_home(folder / "a home"), monkeypatch)
            monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", "a token")
            with dg.DagsterInstance.get() as instance:
                platform = Platform(folder / "a home", instance)
                platform.deliver(*DAYS)
                assert platform.run("-", job="catalogue").success
                again = as_csv(ratings_of_day(DAYS[1], seed=7))
                platform.landing_zone.deliver(DAYS[1], again)
                assert platform.run(DAYS[0], DAYS[-1], "raw_ratings", "validated_ratings").success
                platform.deliver(DAYS[1])
                assert platform.run(DAYS[0], DAYS[-1]).success
                platform.model_registry.change("revoke", 4, "complaints")
                platform.model_registry.change("pin", 3, "praised")
                platform.run("-", job="deploy")  # no endpoint runs: it is published all the same
                (folder / "state").write_bytes(pickle.dumps(state(platform)))
        settings.cache_clear()

    folder = made_once(tmp_path_factory, "whole", make)
    found = pickle.loads((folder / "state").read_bytes())  # noqa: S301 - written above
    return Home(folder / "a home", found)


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(path=str(tmp_path / "landing"))
