"""Files to tensors. Imports nothing of models or training."""
