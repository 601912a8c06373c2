"""Over a store's life: what is there, whether it is sound, what may go, and another store beside it."""
