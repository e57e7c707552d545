"""Declares and finds parts and weights by name; imports no part."""
