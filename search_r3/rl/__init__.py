"""Stage 2: the retrieval environment, its rewards, and GRPO on them."""
