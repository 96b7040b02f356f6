"""The user's own module as the subject of the training check.

`request` reads what is asked for and needs no torch. The rest runs in the worker, where the user's code is imported.
"""
