"""Tests on a real engine, with real containers; the big packages are stood in for, the stages are not."""
