"""The compositions: one module a family; each function takes dice d, a room w x h, paint p."""
