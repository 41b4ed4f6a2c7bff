"""Last positions as GeoJSON."""
