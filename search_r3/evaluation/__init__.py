"""Evaluation: arms of thinking, baselines, mteb and BEIR, significance, result files."""
