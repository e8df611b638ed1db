"""Viewers and films as factors of one table, learned by two encoders: the net, its training, and folding in."""
