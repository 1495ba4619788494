"""A thin layer over Lightning's Trainer: the settings of a run, the module, its callbacks, and the run folder."""
