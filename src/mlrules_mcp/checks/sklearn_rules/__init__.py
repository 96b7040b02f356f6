"""Rules for scikit-learn."""
