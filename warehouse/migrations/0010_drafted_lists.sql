-- What each arm gave to a list that was drafted from two: arm, version, source, reason, ms, places.
ALTER TABLE recommendation_log ADD COLUMN drafted JSON;
