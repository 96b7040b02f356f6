from __future__ import annotations

from mlrules_mcp.evidence.folds import FoldsCollector


class CrossValidation(FoldsCollector):
    """Estimators are chosen and judged on several folds, not on one split.

    ## Met
    `cross_val_*`, a splitter into folds, a `*SearchCV`, an estimator that cross-validates itself, folds of XGBoost or
    LightGBM; and no check finds a model judged on one split.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    No estimator is used here: networks are judged on a held-out part.

    ## Never counts
    Splitters that give one split.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html
    """
