-- Each day's ratings as a test of what was in production the day before: means over `users` of NDCG@10.
-- month_before is the cold model of an earlier month, NULL while there is none.
CREATE TABLE prequential_evaluation (
    day DATE PRIMARY KEY,
    users BIGINT NOT NULL,
    production DOUBLE,
    popularity DOUBLE,
    month_before DOUBLE,
    production_version BIGINT,
    month_before_version BIGINT
);
