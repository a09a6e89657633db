"""Worlds and helpers that several rooms' tests use."""
