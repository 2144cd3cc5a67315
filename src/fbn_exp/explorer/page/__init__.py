"""The page itself, on Gradio."""
