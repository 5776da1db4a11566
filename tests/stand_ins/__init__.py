"""Stand-ins for tests: small packages under the names of big ones, and servers on loopback."""
