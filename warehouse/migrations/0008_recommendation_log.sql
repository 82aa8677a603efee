-- What people were shown, a row for each list, from the files that the endpoint writes.
CREATE TABLE recommendation_log (
    recommendation_id VARCHAR PRIMARY KEY,
    day DATE NOT NULL,
    user_id VARCHAR,
    version BIGINT NOT NULL,
    arm VARCHAR,
    arm_failed BOOLEAN NOT NULL DEFAULT false,
    shown_at TIMESTAMP NOT NULL,
    source VARCHAR NOT NULL,
    reason VARCHAR,
    skipped INTEGER NOT NULL DEFAULT 0,
    ms DOUBLE NOT NULL,
    movies VARCHAR[] NOT NULL
);

-- What became of the lists of a day, by what made them: a row for each rate. low and high are NULL
-- where there are too few to tell.
CREATE TABLE recommendation_outcomes (
    day DATE NOT NULL,
    dimension VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    rate VARCHAR NOT NULL,
    users BIGINT NOT NULL,
    middle DOUBLE NOT NULL,
    low DOUBLE,
    high DOUBLE,
    until DATE NOT NULL,
    PRIMARY KEY (day, dimension, value, rate)
);
