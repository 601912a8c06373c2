"""From a run to a version, through the gates; and from a version back to all that it was made from."""
