-- What a catalogue may say beyond titles: the days (UTC) between which a movie may be recommended, both
-- included, and any further column of movies.csv as text.
ALTER TABLE movies ADD COLUMN available_from DATE;
ALTER TABLE movies ADD COLUMN available_until DATE;
ALTER TABLE movies ADD COLUMN extra JSON DEFAULT '{}';
