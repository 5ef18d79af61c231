"""Training: labels, losses, task sampling, and the loop that runs a recipe's stages."""
