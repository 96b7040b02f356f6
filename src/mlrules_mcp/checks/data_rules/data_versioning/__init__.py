"""Version datasets and track data lineage."""
