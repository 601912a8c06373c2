"""Laws of data: how trees and files are cut, named and compared."""
