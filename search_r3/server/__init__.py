"""The model behind HTTP: an endpoint that OpenAI's clients speak, a search over an index, and a page."""
