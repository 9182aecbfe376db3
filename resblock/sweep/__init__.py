"""Any field of the training configuration searched: a grid or drawn trials, by any number of workers on one database.

An `Experiment` says on which complexes; `resblock.sweep.search.search` does the trials and lays out what they found.
"""
