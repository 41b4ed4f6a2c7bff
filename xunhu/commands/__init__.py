"""One file for each group of commands: they parse and print, the parts decide."""
