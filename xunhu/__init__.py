"""The command line and `up`: the only package that knows every part of Xunhu."""
