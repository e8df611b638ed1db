"""`make run`: one process that starts, watches, restarts and ends all the others."""
