"""What every write and read of a store goes through: packs, roots, transactions, what a store guarantees."""
