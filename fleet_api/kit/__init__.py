"""Small tools with no feature in them."""
