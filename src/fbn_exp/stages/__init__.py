"""The whole run of each entry script, callable without Hydra's command line."""
