"""What is made of result files: tables, significance, plots, a page, a model card."""
