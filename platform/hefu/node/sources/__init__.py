"""An organisation's own files and tables: read, checked, brought into canonical form. Never leaves the node."""
