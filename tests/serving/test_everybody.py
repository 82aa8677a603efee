"""Everybody's lists come in blocks of users, and are those of all users at once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from movierec_serving.bundle import TOP_N, Bundle, Ranker, Ranking, everybody, publish
from movierec_serving.bundle.array_files import ArrayFile, write_array
from movierec_serving.bundle.everybody import BLOCK, Common, Listed, block, in_this_process
from movierec_serving.bundle.kernel import AT_ONCE
from movierec_serving.bundle.ranking import Lists
from tests.support import sample_models as models

USERS = AT_ONCE + 100  # in blocks of what the kernel takes at once


def listed(path: Path, family: str) -> Listed:
    """Lists to which all is done that can be done."""
    content = models.content_of(family, USERS, 40)
    models.write(path, content, family=family)
    bundle = Bundle.open(path)
    ranking = Ranking(popularity_correction=0.2, calibration=0.3)
    random = np.random.default_rng(0)
    withdrawn = random.random(40) < 0.1
    blended = bundle.item_vectors + np.float32(0.1)
    return Listed(
        replace(bundle, blended=blended), ranking, random.random((40, 5)) < 0.4, withdrawn
    )


@pytest.mark.parametrize("family", ["als", "ease"])
def test_blocks_give_the_lists_of_all_users_at_once(
    tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everybody, "BLOCK", AT_ONCE)
    assert BLOCK % AT_ONCE == 0
    question = listed(tmp_path / "bundle", family)
    expected = Ranker(*question).of_users(np.arange(USERS), TOP_N)
    common = Common.of(question)
    assert not {"user_factors", "user_ids", "seen_items"} & common.arrays.keys()
    apart = [common.lists(block(question.bundle, rows)) for rows in question.blocks]
    for blocks in (list(in_this_process(question)), apart):
        assert [len(items) for items, _ in blocks] == [AT_ONCE, 100]
        for got, whole in zip(zip(*blocks, strict=True), expected, strict=True):
            assert np.array_equal(np.concatenate(got), whole, equal_nan=True)


def test_lists_that_end_too_early_are_not_published(tmp_path: Path) -> None:
    models.write(tmp_path / "bundle", models.content(users=BLOCK + 1))

    def one_block(question: Listed) -> Generator[Lists, None, None]:
        yield next(in_this_process(question))

    with pytest.raises(ValueError, match="bytes written"):
        publish(tmp_path / "bundle", tmp_path / "store", 1, {}, lists_of=one_block)
    assert list((tmp_path / "store").iterdir()) == []


def test_an_array_written_block_by_block_is_the_file_of_the_whole(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).random((7, 3), np.float32)
    np.save(tmp_path / "numpys.npy", whole)
    expected = write_array(tmp_path, "whole.npy", whole)
    with ArrayFile(tmp_path, "blocks.npy", whole.dtype, whole.shape) as file:
        file.add(whole[:5])
        file.add(whole[5:])
    assert file.entry == expected
    contents = {path.read_bytes() for path in tmp_path.glob("*.npy")}
    assert len(contents) == 1
