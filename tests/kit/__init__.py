"""Test equipment that several folders of tests share."""
