"""Use batch normalization or layer normalization appropriately."""
