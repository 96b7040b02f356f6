"""The project review: every rule of the manifest against a whole project, with evidence.

`review.review(root, catalogue)` reads a project once (`reading`), keeps compact facts of its code, notebooks, settings,
texts and history (`facts`), works out what kind of project it is (`kinds`), and asks the collector of each rule, a file
each in `<block>/<rule id>.py`.
"""
