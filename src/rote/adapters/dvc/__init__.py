"""What DVC keeps of a project, read as it lies: sums of the working tree, the cache, remotes, the cache of runs."""
