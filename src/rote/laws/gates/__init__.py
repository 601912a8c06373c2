"""Laws of gates and checks: what is asked of figures and of data, and what follows."""
