"""The platform operator's service: registry, contracts, job state, ledger writer. It never sees data."""
