-- The ledger: one row for each different file that was delivered for a day.
-- `current` is the chunk whose rows are in raw_ratings; at most one a day.
-- verdict: NULL until the day is validated, then accepted or refused.
CREATE TABLE chunks (
    day DATE NOT NULL,
    sha256 VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    received_at TIMESTAMP NOT NULL,
    current BOOLEAN NOT NULL,
    verdict VARCHAR,
    reason VARCHAR,
    schema_version VARCHAR,
    max_rejected_share DOUBLE,
    rows BIGINT NOT NULL,
    validated BIGINT NOT NULL DEFAULT 0,
    rejected BIGINT NOT NULL DEFAULT 0,
    superseded BIGINT NOT NULL DEFAULT 0,
    late BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (day, sha256)
);

CREATE TABLE raw_ratings (
    day DATE NOT NULL,
    record BIGINT NOT NULL,
    file VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    movie_id VARCHAR NOT NULL,
    rating VARCHAR NOT NULL,
    "timestamp" VARCHAR NOT NULL
);

CREATE TABLE validated_ratings (
    day DATE NOT NULL,
    record BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    movie_id VARCHAR NOT NULL,
    rating FLOAT NOT NULL,
    rated_at TIMESTAMP NOT NULL
);

CREATE TABLE rejected_ratings (
    day DATE NOT NULL,
    record BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    movie_id VARCHAR NOT NULL,
    rating VARCHAR NOT NULL,
    "timestamp" VARCHAR NOT NULL,
    reasons VARCHAR[] NOT NULL
);

CREATE TABLE movies (
    movie_id VARCHAR PRIMARY KEY,
    title VARCHAR NOT NULL,
    year INTEGER,
    genres VARCHAR[] NOT NULL
);
