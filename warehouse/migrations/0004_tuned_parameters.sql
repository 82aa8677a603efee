-- Parameters that a search proposed on a day, and the gate's verdict on the model trained with them.
-- `settings` are those they were found from: a passed set holds until another one passes, or the settings change.
CREATE TABLE tuned_parameters (
    identity VARCHAR PRIMARY KEY,
    version BIGINT NOT NULL,
    day DATE NOT NULL,
    partitions_digest VARCHAR NOT NULL,
    settings JSON NOT NULL,
    parameters JSON NOT NULL,
    verdict VARCHAR NOT NULL
);
