"""`python -m xunhu` is the same as the command `xunhu`."""

from xunhu.cli import main

main()
