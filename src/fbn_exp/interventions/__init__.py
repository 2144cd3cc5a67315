"""Change what the neurons of networks do: targets, edits, controls, folding into weights."""
