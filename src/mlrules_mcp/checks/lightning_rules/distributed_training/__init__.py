"""Design models to work with distributed training."""
