"""Secret keys, and signing with them: the only room that knows the package `cryptography`."""
