"""Tables, repositories and migrations, for the coordinator's database and for a node's. SQL stands only here."""
