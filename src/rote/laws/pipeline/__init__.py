"""Laws of pipelines and runs: what has to be done, in which order, and why."""
