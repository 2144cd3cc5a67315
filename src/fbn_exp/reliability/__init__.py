"""How far networks depend on the random start, on the sample of texts, and on chance."""
