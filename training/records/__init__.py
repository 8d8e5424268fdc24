"""What a run leaves: MLflow, the card, pictures, the bundle, promotions, its data again."""
