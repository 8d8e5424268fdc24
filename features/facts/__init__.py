"""What is known of an account at an observation, besides what it does."""
