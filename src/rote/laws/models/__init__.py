"""Laws of models: their versions, and what is said of them."""
