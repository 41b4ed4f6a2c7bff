"""Where the gateway touches the world: broker, stores, metrics."""
