"""Responses: representations, triplets and a transform make an AligNet npz."""
