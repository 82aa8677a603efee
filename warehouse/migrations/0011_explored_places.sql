-- Which places of a list were given to new movies, and the share by which each place was drawn.
ALTER TABLE recommendation_log ADD COLUMN explored JSON;
