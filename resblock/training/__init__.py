"""Training of the networks: configuration, splits, and runs that can be interrupted.

`resblock.training.run` and what it uses need the extra `train`; configuration, splits and evaluation do not.
"""
