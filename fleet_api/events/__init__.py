"""Events as devices reported them."""
