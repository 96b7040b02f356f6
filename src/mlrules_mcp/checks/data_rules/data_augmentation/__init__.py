"""Use data augmentation to improve generalization."""
