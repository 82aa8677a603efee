-- Several sources may deliver a day, and a refused chunk leaves the accepted one before it current.
-- `current` is the accepted chunk whose rows are in validated_ratings: at most one a day and source.
-- raw_ratings and rejected_ratings also hold the newest chunk's rows, under its sha256, when that one
-- is refused or waits for its verdict.
-- schema_version is of the rules that judged; data_version names what the accepted rows are.
-- mended: how many rows had an id written otherwise than it is kept, by kind.
DROP VIEW superseded_ratings;
ALTER TABLE chunks RENAME TO chunks_before;
ALTER TABLE raw_ratings RENAME TO raw_before;
ALTER TABLE validated_ratings RENAME TO validated_before;
ALTER TABLE rejected_ratings RENAME TO rejected_before;

CREATE TABLE chunks (
    day DATE NOT NULL,
    source VARCHAR NOT NULL DEFAULT 'ratings',
    sha256 VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    declaration VARCHAR,
    received_at TIMESTAMP NOT NULL,
    current BOOLEAN NOT NULL,
    verdict VARCHAR,
    reason VARCHAR,
    schema_version VARCHAR,
    data_version VARCHAR,
    max_rejected_share DOUBLE,
    rows BIGINT NOT NULL,
    validated BIGINT NOT NULL DEFAULT 0,
    rejected BIGINT NOT NULL DEFAULT 0,
    superseded BIGINT NOT NULL DEFAULT 0,
    late BIGINT NOT NULL DEFAULT 0,
    mended JSON NOT NULL DEFAULT '{}',
    PRIMARY KEY (day, source, sha256)
);
INSERT INTO chunks BY NAME
    SELECT * REPLACE (current AND verdict IS NOT DISTINCT FROM 'accepted' AS current),
           CASE WHEN schema_version IS NOT NULL THEN sha256 || '/' || schema_version END AS data_version
    FROM chunks_before;

CREATE TABLE raw_ratings (
    day DATE NOT NULL,
    source VARCHAR NOT NULL DEFAULT 'ratings',
    sha256 VARCHAR NOT NULL,
    record BIGINT NOT NULL,
    file VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    movie_id VARCHAR NOT NULL,
    rating VARCHAR NOT NULL,
    "timestamp" VARCHAR NOT NULL
);
INSERT INTO raw_ratings BY NAME
    SELECT r.*, sha256 FROM raw_before r JOIN chunks_before c ON r.day = c.day AND c.current;

CREATE TABLE validated_ratings (
    day DATE NOT NULL,
    source VARCHAR NOT NULL DEFAULT 'ratings',
    record BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    movie_id VARCHAR NOT NULL,
    rating FLOAT NOT NULL,
    rated_at TIMESTAMP NOT NULL
);
INSERT INTO validated_ratings BY NAME
    SELECT v.* FROM validated_before v
    SEMI JOIN (SELECT day FROM chunks_before WHERE current AND verdict = 'accepted') USING (day);

CREATE TABLE rejected_ratings (
    day DATE NOT NULL,
    source VARCHAR NOT NULL DEFAULT 'ratings',
    sha256 VARCHAR NOT NULL,
    record BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    movie_id VARCHAR NOT NULL,
    rating VARCHAR NOT NULL,
    "timestamp" VARCHAR NOT NULL,
    reasons VARCHAR[] NOT NULL
);
INSERT INTO rejected_ratings BY NAME
    SELECT r.*, sha256 FROM rejected_before r JOIN chunks_before c ON r.day = c.day AND c.current;

DROP TABLE chunks_before;
DROP TABLE raw_before;
DROP TABLE validated_before;
DROP TABLE rejected_before;

-- Valid ratings that a later valid one of the same user, movie, day and source replaced.
CREATE VIEW superseded_ratings AS
    SELECT r.* FROM raw_ratings r
    SEMI JOIN (SELECT day, source, sha256 FROM chunks WHERE current) USING (day, source, sha256)
    ANTI JOIN validated_ratings USING (day, source, record)
    ANTI JOIN rejected_ratings USING (day, source, sha256, record);
