"""Fine-tune a model, all of it or only its networks: python train.py model=smollm2 task=classification."""

from fbn_exp.stages.scripts.train import main

if __name__ == "__main__":
    main()
