"""Which rows are valid, why the others are not, and that none is lost."""

import datetime
import time

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from movierec_assets.ratings.chunks import COLUMNS
from movierec_assets.ratings.schema import HALF_STARS
from movierec_assets.ratings.validation import Outcome, validate_chunk

DAY = datetime.date(2020, 1, 1)
START = 1_577_836_800  # seconds, the beginning of DAY
NOON = str(START + 43_200)
END = START + 86_400

RATING = "rating: not one of 0.5, 1.0 … 5.0"
TIMESTAMP = "timestamp: not a whole number of seconds since 1970"


def raw(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS), dtype=object)
    frame.insert(0, "record", range(1, len(rows) + 1))
    return frame


def judge(*rows: tuple[str, str, str, str]) -> Outcome:
    return validate_chunk(raw(*rows), DAY)


def test_a_good_row_gets_its_types():
    valid = judge(("u", "m", "4", NOON)).valid
    assert valid.to_dict("records") == [
        {
            "record": 1,
            "user_id": "u",
            "movie_id": "m",
            "rating": 4.0,
            "rated_at": pd.Timestamp("2020-01-01 12:00"),
        }
    ]
    assert valid.dtypes.astype(str).to_dict() == {
        "record": "int64",
        "user_id": "object",
        "movie_id": "object",
        "rating": "float64",
        "rated_at": "datetime64[ns]",
    }


def test_an_empty_day_has_the_same_columns():
    empty, full = judge(), judge(("u", "m", "4", NOON), ("u", "m", "9", NOON))
    assert (len(empty.valid), len(empty.rejected), empty.superseded, empty.late) == (0, 0, 0, 0)
    assert empty.valid.dtypes.to_dict() == full.valid.dtypes.to_dict()
    assert (
        list(empty.rejected.columns)
        == list(full.rejected.columns)
        == ["record", *COLUMNS, "reasons"]
    )


@pytest.mark.parametrize(
    ("text", "stars"),
    [
        *((f"{stars:g}", stars) for stars in HALF_STARS),
        ("4.0", 4),
        ("04.50", 4.5),
        ("+3", 3),
        (".5", 0.5),
    ],
)
def test_half_stars_are_ratings(text, stars):
    assert judge(("u", "m", text, NOON)).valid["rating"].tolist() == [stars]


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        (("", "m", "4", NOON), ["user_id: empty"]),
        (("u", "", "4", NOON), ["movie_id: empty"]),
        (("u" * 65, "m", "4", NOON), ["user_id: longer than 64 characters"]),
        (("u", "é" * 65, "4", NOON), ["movie_id: longer than 64 characters"]),
        (("u\n1", "m", "4", NOON), ["user_id: a control character"]),
        (("u", "\0", "4", NOON), ["movie_id: a control character"]),
        (("u", "m\x85", "4", NOON), ["movie_id: a control character"]),
        *(
            (("u", "m", text, NOON), [RATING])
            for text in ("0", "0.0", "5.5", "4.2", "-4", "10", "4.49999999", "9" * 400)
        ),
        *(
            (("u", "m", text, NOON), ["rating: not a number"])
            for text in (
                "",
                " 4",
                "4 ",
                "four",
                "nan",
                "inf",
                "-inf",
                "1e400",
                "４",
                "4,0",
                "1_0",
                "0x4",
                "4.0.0",
                ".",
                "None",
            )
        ),
        *(
            (("u", "m", "4", text), [TIMESTAMP])
            for text in (
                "",
                "-1",
                "1577880000.0",
                "1e9",
                "２",
                "1577880000 ",
                "2020-01-01",
                "nan",
                "²",
                "+5",
                "1_0",
            )
        ),
        *(
            (("u", "m", "4", text), ["timestamp: after the day"])
            for text in (str(END), str(END * 1000), "9" * 18, "9" * 30, "9" * 5000)
        ),
        (
            ("", "m" * 65 + "\n", "9", "soon"),
            [
                "user_id: empty",
                "movie_id: longer than 64 characters",
                "movie_id: a control character",
                RATING,
                TIMESTAMP,
            ],
        ),
        (
            ("", "m", "nan", str(END)),
            ["user_id: empty", "rating: not a number", "timestamp: after the day"],
        ),
    ],
)
def test_a_bad_row_is_kept_as_delivered_with_all_its_reasons(row, reasons):
    outcome = judge(("u", "other", "4", NOON), row)
    assert outcome.rejected.values.tolist() == [[2, *row, reasons]]
    assert outcome.valid["movie_id"].tolist() == ["other"]


def test_ids_are_opaque():
    ids = ["1", "01", "1.5", "nana", "Nonesuch", "é" * 64, "👩‍👩‍👧", "' OR 1=1", "c0ffee-" * 9]
    assert judge(*((one, one, "4", NOON) for one in ids)).valid["user_id"].tolist() == ids


def test_the_last_second_of_the_day_is_in_and_earlier_days_are_late():
    outcome = judge(
        ("u", "1", "4", str(END - 1)),
        ("u", "2", "4", str(START)),
        ("u", "3", "4", str(START - 1)),
        ("u", "4", "4", "0"),
    )
    assert (len(outcome.valid), outcome.late) == (4, 2)
    assert outcome.valid["rated_at"].iloc[3] == pd.Timestamp(0)


def test_the_last_rating_wins_by_time_then_record():
    outcome = judge(
        ("u", "m", "1", NOON),
        ("u", "m", "2", str(int(NOON) + 1)),
        ("u", "m", "3", str(int(NOON) + 1)),
        ("u", "m", "4", NOON),
        ("v", "m", "5", NOON),
        ("u", "n", "5", NOON),
    )
    assert outcome.valid[["record", "rating"]].values.tolist() == [[3, 3], [5, 5], [6, 5]]
    assert outcome.superseded == 3


def test_a_bad_last_row_takes_no_good_one_along():
    outcome = judge(("u", "m", "4", NOON), ("u", "m", "9", str(int(NOON) + 1)))
    assert outcome.valid["record"].tolist() == [1]
    assert outcome.rejected["record"].tolist() == [2]
    assert outcome.superseded == 0


def test_the_order_and_index_of_the_rows_do_not_matter():
    rows = [(f"u{number % 3}", "m", "4" if number % 4 else "x", NOON) for number in range(20)]
    frame = raw(*rows)
    shuffled = frame.sample(frac=1, random_state=1).assign(day="2020-01-01", file="d.csv")
    one, other = validate_chunk(frame, DAY), validate_chunk(shuffled, DAY)
    pd.testing.assert_frame_equal(one.valid, other.valid)
    pd.testing.assert_frame_equal(one.rejected, other.rejected)
    assert one.superseded == other.superseded


def test_nulls_count_as_empty():
    frame = raw(("u", "m", "4", NOON))
    frame.loc[0, list(COLUMNS)] = None
    assert validate_chunk(frame, DAY).rejected["reasons"].tolist() == [
        ["user_id: empty", "movie_id: empty", "rating: not a number", TIMESTAMP]
    ]


def test_the_frame_handed_in_is_not_changed():
    frame = raw(("u", "m", "4", NOON), ("u", "m", "9", NOON))
    before = frame.copy(deep=True)
    validate_chunk(frame, DAY)
    pd.testing.assert_frame_equal(frame, before)


odd = st.one_of(
    st.text(max_size=70),
    st.sampled_from(
        [
            "",
            "u",
            "v",
            "4",
            "3.5",
            "nan",
            "inf",
            "1e400",
            "４",
            "-1",
            NOON,
            str(END),
            str(START - 1),
            "\0",
        ]
    ),
    st.integers().map(str),
    st.floats().map(str),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(odd, odd, odd, odd), max_size=12))
@example([("u", "m", "4", NOON)] * 3)
def test_every_row_ends_in_exactly_one_place(rows):
    outcome = judge(*rows)
    assert len(rows) == len(outcome.valid) + len(outcome.rejected) + outcome.superseded
    ends = {*outcome.valid["record"], *outcome.rejected["record"]}
    assert len(ends) + outcome.superseded == len(rows)
    assert ends <= set(range(1, len(rows) + 1))
    assert all(outcome.rejected["reasons"].map(len) > 0)
    assert outcome.valid["rating"].isin(HALF_STARS).all()
    assert not outcome.valid.isna().any().any()
    assert not outcome.valid.duplicated(["user_id", "movie_id"]).any()
    assert [rows[record - 1] for record in outcome.rejected["record"]] == list(
        outcome.rejected[list(COLUMNS)].itertuples(index=False, name=None)
    )


def test_an_ordinary_day_costs_milliseconds():
    frame = raw(*((f"u{number % 40}", f"m{number}", "4", NOON) for number in range(500)))
    validate_chunk(frame, DAY)
    took = []
    for _ in range(10):
        start = time.perf_counter()
        validate_chunk(frame, DAY)
        took.append(time.perf_counter() - start)
    # About 10 ms on two slow cores; the bound is wide, for machines under load.
    assert min(took) < 0.1
