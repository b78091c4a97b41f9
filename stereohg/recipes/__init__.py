"""The recipes that come with the package, in YAML; ``stereohg.training.recipes`` reads them."""
