"""How things look: cards, chips, tables, the stage diagram, the arrival board, empty states, errors."""
