"""What the chapter on the CVAE shows of its rows, and says of them."""
