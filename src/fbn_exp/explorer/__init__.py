"""Local page to look at networks, to read texts with them, and to intervene on them."""

import os

# read when gradio is imported: it makes no request to its makers, now or later
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
