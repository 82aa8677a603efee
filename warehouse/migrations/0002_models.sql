-- The model of each day. An empty day's is its parent's (fit = 'inherited');
-- identity is NULL while no rating has been accepted yet.
CREATE TABLE als_model (
    day DATE PRIMARY KEY,
    identity VARCHAR,
    parent VARCHAR,
    fit VARCHAR NOT NULL,
    data_until DATE,
    partitions_digest VARCHAR,
    metrics JSON NOT NULL
);

-- The batch inference: what the served version recommends to each user it knows.
CREATE TABLE served_model (
    version BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    rank INTEGER NOT NULL,
    movie_id VARCHAR NOT NULL,
    score FLOAT NOT NULL
);

-- Valid ratings that a later valid one of the same user, movie and day replaced.
CREATE VIEW superseded_ratings AS
    SELECT * FROM raw_ratings
    ANTI JOIN validated_ratings USING (day, record)
    ANTI JOIN rejected_ratings USING (day, record)
    WHERE day IN (SELECT day FROM chunks WHERE current AND verdict IS NOT NULL);
