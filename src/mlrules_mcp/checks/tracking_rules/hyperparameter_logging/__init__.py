"""Log all hyperparameters and configuration."""
