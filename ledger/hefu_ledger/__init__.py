"""The evidence ledger 存证账本: a transparency log of signed statements, verifiable by anyone. See README.md beside."""
