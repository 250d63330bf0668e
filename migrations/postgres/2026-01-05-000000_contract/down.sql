DROP TABLE loader_progress;
DROP TABLE source_misses;
DROP TABLE artist_genres;
DROP TABLE genres;
DROP TABLE song_audio_features;
DROP TABLE songs;
DROP TABLE albums;
DROP TABLE artists;
