"""Links the modules of a device into few small ones: what a chip's memory asks of a build.

MicroPython keeps every name, every module's table and every constant's slot in the heap. Loaded
from forty files, the application leaves half of the free memory that the same code leaves when it
is linked. Source in, source out; what the code does stays the same:

1. what nothing reaches is left out, docstrings and annotations too (`program`, `shaking`);
2. constants are put where they are used (`constants`);
3. texts of our own errors become numbers, listed in `Linked.texts` (`constants`);
4. modules that are loaded together become one (`bundles`);
5. names that the world outside cannot see become short, listed in `Linked.names` (`names`).
"""

from provisioning.linking.link import Linked, link

__all__ = ["Linked", "link"]
