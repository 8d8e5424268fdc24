"""Assessment on rows never seen, reasons that hold under retraining, and the gate."""
