"""Present results as metrics, tables, pictures, sentences and html."""
