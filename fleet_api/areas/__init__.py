"""The area tree a caller may see."""
