"""What the chapter on scGAN shows and says of its rows."""
