"""Look at networks, and intervene on them, in a local page: python explore.py networks=outputs/…/networks."""

from fbn_exp.stages.scripts.explore import main

if __name__ == "__main__":
    main()
