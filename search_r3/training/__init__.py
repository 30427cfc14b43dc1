"""Training: stage 1, which makes a causal LM think briefly and embed well. Needs ``search-r3[train]``."""
