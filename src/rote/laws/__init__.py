"""The laws: values in, decisions out. Pure."""
