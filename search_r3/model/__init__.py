"""What a saved model is, and how text becomes a vector. Importing this package loads nothing heavy."""
