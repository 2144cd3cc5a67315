"""Prune hidden neurons outside of networks into a smaller checkpoint: python prune.py prune.ratio=0.2."""

from fbn_exp.stages.scripts.prune import main

if __name__ == "__main__":
    main()
