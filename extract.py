"""Extract functional networks from a language model: python extract.py model=llama3 method=ica."""

from fbn_exp.stages.scripts.extract import main

if __name__ == "__main__":
    main()
