"""Jobs in processes of their own: written down, started through accelerate, followed, and stopped."""
