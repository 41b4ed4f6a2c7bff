"""What both sides speak: topics, frames, records, messages. No I/O, integers only.

Runs on CPython and on MicroPython; docs/wire_protocol.md describes the bytes. On a device memory
is scarce, so the half of a format that a device needs is a module of its own (`track_encode`,
`track_lone`, `readings_encode`, `envelope`, `lean` for all JSON that it says, `lean_parse`,
`lean_told` and `lean_mute` for what it hears) and the module with the format's plain name
(`track`, `readings`, `records`, `messages`) offers both halves to everyone else.
"""
