"""What the white papers speak of, as pure values and rules: no SQL, no HTTP, no clock, no environment."""
