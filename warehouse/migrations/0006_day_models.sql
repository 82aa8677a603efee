-- The model of each day, of each arm: what is trained side by side, named by its family at first.
-- An empty day's is its parent's (fit = 'inherited'); identity is NULL while no rating has been
-- accepted yet.
CREATE TABLE day_models (
    day DATE NOT NULL,
    arm VARCHAR NOT NULL DEFAULT 'als',
    identity VARCHAR,
    parent VARCHAR,
    fit VARCHAR NOT NULL,
    data_until DATE,
    partitions_digest VARCHAR,
    metrics JSON NOT NULL,
    PRIMARY KEY (day, arm)
);
INSERT INTO day_models BY NAME SELECT * FROM als_model;
DROP TABLE als_model;
-- What it was called while ALS was the only family.
CREATE VIEW als_model AS SELECT * EXCLUDE (arm) FROM day_models WHERE arm = 'als';

ALTER TABLE tuned_parameters ADD COLUMN arm VARCHAR DEFAULT 'als';
