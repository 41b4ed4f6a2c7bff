"""The live view: snapshot, then numbered deltas, over a WebSocket."""
