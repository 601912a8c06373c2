"""The contract of ports.ObjectStore as a test suite. A store passes with a test file of a few lines:

    class TestMyStore(StoreContract):
        def make(self, place):                  # a new, empty store; `place` is an empty folder of the test's own
            return MyStore(...)

        def again(self, store, place):          # another client of the same store
            return MyStore(...)

        def raw_put(self, store, place, key, data):     # behind the API's back
            ...

        def raw_get(self, store, place, key):
            ...

No subclass may override a test.
"""

from __future__ import annotations

from rote.testing.store_contract.deleting import Deleting
from rote.testing.store_contract.listing import Listing
from rote.testing.store_contract.reading import Reading
from rote.testing.store_contract.writing import Writing


class StoreContract(Reading, Writing, Deleting, Listing):
    """One test a clause of the contract."""
