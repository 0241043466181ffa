"""The form of a new contract, step by step: what is entered, how each step draws it, and the draft made of it."""
