"""Pipelines at work: runs, stages, results, checkpoints and logs."""
