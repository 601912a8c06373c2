"""Real servers on loopback, for tests: each is started once a test run, shared by its workers, and ended by pid."""
