"""Intervene on networks and score the model: python evaluate.py model=llama3 intervention=inhibit."""

from fbn_exp.stages.scripts.evaluate import main

if __name__ == "__main__":
    main()
