"""The door: who comes in, with which session, and how often a wrong password may be tried."""
