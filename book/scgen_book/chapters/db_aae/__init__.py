"""What the chapter on DB-AAE shows and says of its rows."""
