"""Templates of pages of html, which escape everything that comes from a model or a text."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def page_templates(package: str) -> Environment:
    """Templates in the folder ``template`` of a package."""
    return Environment(
        loader=PackageLoader(package, "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source(templates: Environment, name: str) -> str:
    """Text of a file among the templates, such as the style of a page."""
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[0]
