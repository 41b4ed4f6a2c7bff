"""The ledger of commands: messages, locate, duty, watch, mute."""
