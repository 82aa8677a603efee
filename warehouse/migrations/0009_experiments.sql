-- Experiments: what was planned, what is carried out, and how they ended. `document` is what the
-- endpoints follow; one without `ended` is under way, at most one.
CREATE TABLE experiments (
    name VARCHAR PRIMARY KEY,
    metric VARCHAR NOT NULL,
    effect DOUBLE NOT NULL,
    days INTEGER NOT NULL,
    information DOUBLE NOT NULL,
    power DOUBLE,
    reason VARCHAR NOT NULL,
    started DATE NOT NULL,
    grown DATE NOT NULL,
    document JSON NOT NULL,
    ended DATE,
    conclusion VARCHAR
);

-- Each arm at the end of each day, beside the control.
CREATE TABLE experiment_results (
    name VARCHAR NOT NULL,
    day DATE NOT NULL,
    arm VARCHAR NOT NULL,
    users BIGINT NOT NULL,
    mean DOUBLE NOT NULL,
    middle DOUBLE,
    low DOUBLE,
    high DOUBLE,
    mismatch DOUBLE NOT NULL,
    dislikes DOUBLE NOT NULL,
    fallbacks DOUBLE NOT NULL,
    failures DOUBLE NOT NULL,
    ms DOUBLE NOT NULL,
    PRIMARY KEY (name, day, arm)
);
