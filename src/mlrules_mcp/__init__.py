"""Machine-learning practices for coding assistants: rules, checks, fixes and a training check."""

__version__ = "0.1.0"
