"""Training of models: configuration, runs that can be interrupted, cross-validation and fitting calibration.

`resblock.training.run` and what it uses need the extra `train`; the configuration does not.
"""
