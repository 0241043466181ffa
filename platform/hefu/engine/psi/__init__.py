"""Private set intersection. Import the protocols from their modules: nothing is loaded here."""
