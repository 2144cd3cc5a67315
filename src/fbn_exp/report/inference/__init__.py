"""What tests of scores show: in words, in tables, and over a sweep."""
