"""Html of the page's parts; everything from a model or a text is escaped."""
