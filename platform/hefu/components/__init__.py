"""What a contract may name: one file each, with parameters, roles, program and leakage; `registry` lists them."""
