"""What gateways refused: for the district's IT, and a refused SOS for everybody."""
