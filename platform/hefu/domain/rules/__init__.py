"""The white papers' compliance points as rules: pure functions from what is known to findings (K1 to K13)."""
