"""The named, versioned folds of the log."""
