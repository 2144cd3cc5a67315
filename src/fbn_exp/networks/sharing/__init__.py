"""Folders of networks on the Hugging Face hub: pull, push, and what either refuses."""
