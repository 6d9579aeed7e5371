"""What people said: choices, dissimilarities, and where to get them."""
