"""Handles to implementations under test."""
