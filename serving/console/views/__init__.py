"""What each page shows: plain values made of the service's state, no HTML."""
