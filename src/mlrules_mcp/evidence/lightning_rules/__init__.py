"""Evidence for the rules on PyTorch Lightning."""
