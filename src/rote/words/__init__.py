"""The words: values and names that everybody speaks of. No files, clock or environment."""
