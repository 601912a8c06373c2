"""Stores in a cloud: S3 and whatever speaks it, Google Cloud Storage, Azure Blob Storage, and plain HTTPS."""
