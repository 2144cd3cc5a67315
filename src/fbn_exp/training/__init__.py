"""Fine-tuning: what is trained for, which parameters move, and the loop around both."""
