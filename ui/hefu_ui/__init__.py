"""The console: an organisation's people see and do, through their own node and nothing else."""
