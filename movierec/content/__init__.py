"""What films are about: a TF-IDF index over their words, people and genres, and wishes in words read against it."""
