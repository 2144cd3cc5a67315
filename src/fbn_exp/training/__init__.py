"""Fine-tune a model as a whole, or only inside or outside its networks."""
