"""Finding documents by their vectors or words: indexes, readers of corpora, BM25, fusion, metrics."""
