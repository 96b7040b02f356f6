"""Use grid search or random search for hyperparameter optimization."""
