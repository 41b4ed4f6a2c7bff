"""What touches the world: flash, network, clock."""
