"""What every board with an ESP32, real or virtual, has in common."""
