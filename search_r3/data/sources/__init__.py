"""Readers of the files inside packages, one source each, and the training pairs some of them give."""
