"""Use model compilation when available (torch.compile)."""
