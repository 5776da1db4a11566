"""What the hermetic world of the engine tests is made of: stand-ins of the big packages, and servers on loopback."""
