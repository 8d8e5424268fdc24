"""What is kept of what was answered: scores, reviews, keys."""
