"""Data: from the working tree, or from outside, into snapshots, and back."""
