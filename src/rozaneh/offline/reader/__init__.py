"""Pages that are opened from a folder on a device without a network: no script, nothing to load, nothing to follow."""
