"""Readers of wire formats: they take bytes off the wire, never trust a length, and never raise."""
