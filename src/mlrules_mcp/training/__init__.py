"""The training check: a model is trained for real, in a process of its own, and held to the rules.

`run.check_training` is the way in, and needs no torch. What trains lives behind `worker`.
"""
