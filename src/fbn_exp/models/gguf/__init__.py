"""GGUF models: found in Python packages, and converted once to safetensors."""
