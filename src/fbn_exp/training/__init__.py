"""Fine-tune a model, whole or only inside or outside its networks."""
