"""What goes wrong with data on their way to us: switchable, and never touching what is true."""
