"""Chance that can be had again: the same numbers for the same seed in every MicroPython."""

_MASK = 0xFFFFFFFFFFFFFFFF


class Chance:
    """Xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators"."""

    def __init__(self, seed):
        self._state = (seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D) & _MASK or 1

    def bits(self, count):
        """Return a number of so many bits."""
        value = 0
        for _ in range(0, count, 32):
            value = (value << 32) | self._next()
        return value & ((1 << count) - 1)

    def below(self, limit):
        """Return a number from 0 to limit - 1."""
        return self._next() % limit

    def one_of(self, things):
        """Return one of a tuple or list."""
        return things[self.below(len(things))]

    def _next(self):
        state = self._state
        state ^= state >> 12
        state ^= (state << 25) & _MASK
        state ^= state >> 27
        self._state = state
        return ((state * 0x2545F4914F6CDD1D) & _MASK) >> 32
