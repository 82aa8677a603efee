"""A version is rebuilt from the archived chunks, bit by bit, the warm chain included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.models.chain import with_arrays
from movierec_assets.cli.app import app
from movierec_assets.cli.verify import Rebuilt, compare, verify
from movierec_assets.errors import VerifyError
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle
from tests.conftest import Platform
from tests.support import sample_models
from tests.support.generate import as_csv, days_from, ratings_of_day

PARAMETERS = {"regularization": 12.0, "alpha": 0.6}
DAYS = days_from("1998-03-30", 4)  # cold, warm, cold in April, warm


@pytest.fixture
def finished(platform: Platform) -> Platform:
    platform.deliver(*DAYS)
    rows = ratings_of_day(DAYS[0])
    platform.landing_zone.deliver(
        DAYS[0], as_csv([*rows, ["u1", "m1", "9", "0"], *rows[:5]])
    )  # some rejected
    assert platform.run(DAYS[0], DAYS[-1]).success
    return platform


def test_each_version_is_rebuilt_bit_by_bit_with_its_parents(finished: Platform) -> None:
    chains = {number: list(verify(settings(), number, since=DAYS[0])) for number in (1, 2, 3, 4)}
    found = {number: [one.manifest.data_until for one in chain] for number, chain in chains.items()}
    assert found == {1: DAYS[:1], 2: DAYS[:2], 3: DAYS[2:3], 4: DAYS[2:]}
    assert all(one.identical for chain in chains.values() for one in chain)
    (alone,) = verify(settings(), 4)
    assert alone.identical
    done = CliRunner().invoke(app, ["verify", "2", "--since", DAYS[0]])
    assert done.exit_code == 0, done.output
    assert done.output.count("identical") == 2

    chunk = finished.warehouse.chunks()[DAYS[3]][0]
    (finished.root / "chunks" / DAYS[3] / chunk.sha256).write_bytes(b"altered")
    with pytest.raises(VerifyError, match=DAYS[3]):
        list(verify(settings(), 4))
    assert CliRunner().invoke(app, ["verify", "4"]).exit_code == 1
    unknown = CliRunner().invoke(app, ["verify", "9"])
    assert unknown.exit_code == 1
    assert unknown.output == "verify: there is no version 9: there are 4\n"


def test_other_bits_are_sound_only_on_another_kernel(tmp_path: Path) -> None:
    manifest = sample_models.write(tmp_path / "b", blas="openblas SkylakeX")
    same_kernel = Rebuilt(manifest, False, "openblas SkylakeX", 0.99)
    assert not same_kernel.sound
    assert "on the same BLAS kernel" in str(same_kernel)
    elsewhere = Rebuilt(manifest, False, "openblas Nehalem", 0.97)
    assert elsewhere.sound
    assert "another BLAS kernel (openblas Nehalem" in str(elsewhere)
    assert not Rebuilt(manifest, False, "openblas Nehalem", 0.5).sound


def test_a_rebuilt_model_is_compared_by_its_files_bytes(tmp_path: Path) -> None:
    sample_models.write(tmp_path / "b")
    stored, rebuilt = Bundle.open(tmp_path / "b"), sample_models.content().model(PARAMETERS)
    assert compare(stored, rebuilt).identical
    factors = rebuilt.family.arrays["item_factors"]
    found = compare(stored, with_arrays(rebuilt, item_factors=factors + np.float32(1e-4)))
    assert not found.identical
    assert found.overlap > 0.9
    other = sample_models.content(users=13, seed=1).model(PARAMETERS)
    with pytest.raises(VerifyError, match="other users or movies"):
        compare(stored, other)
