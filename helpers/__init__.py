"""Helpers shared by the notebooks and the command line. Start reading with `data`, then `models` and `training`."""
