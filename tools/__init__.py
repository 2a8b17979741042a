"""What developers and CI run from a checkout; nothing in here is shipped."""
