"""Laws of publishing: what lies at a target, and what an application may believe of it."""
