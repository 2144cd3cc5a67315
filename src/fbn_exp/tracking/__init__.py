"""Log runs to an experiment tracker."""
